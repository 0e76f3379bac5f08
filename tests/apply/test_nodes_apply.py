"""postfleet-apply on real Debian 12 and 13: a generation is proven, or the one before stays."""

from __future__ import annotations

import pytest
from postfleet.v1 import spec_pb2

from tests.apply.prepared_node import PreparedNode
from tests.apply.specs import add_egress, good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

TEMPLATES = "/opt/postfleet/current/lib/python3*/site-packages/templates/postfix"


@pytest.fixture
def generation(node: PreparedNode) -> int:
    """Runs a good spec on the node; its generation. The next one is free."""
    return node.run_good_spec()


def test_a_good_spec_runs_and_each_transport_was_probed(
    node: PreparedNode, generation: int
) -> None:
    node.run("postfix status && systemctl is-active opendkim postfleet-gateway")
    with node.gateway() as gateway:
        status = gateway.status()
    assert status.config_generation == generation
    assert {egress.egress_id for egress in status.egresses} == {"px001", "px002"}
    for egress in ("px001", "px002"):
        node.wait_for_log(f"postfix/egress-{egress}/smtp", "status=sent (250 2.0.0 probe arrived)")
    services = node.run("postconf -M | awk '{print $1}'").split()
    assert {"egress-px001", "egress-px002"} <= set(services)
    assert not {"smtp", "relay", "local", "virtual", "lmtp"} & set(services)
    assert node.queue() == []


def test_the_same_spec_again_changes_nothing(node: PreparedNode, generation: int) -> None:
    before, lines = node.current(), len(node.log())
    reply = node.apply(good_spec(generation))
    assert (reply.stage, reply.unchanged, reply.running_generation) == ("", True, generation)
    assert node.current() == before
    assert not [line for line in node.log()[lines:] if "reload" in line or "probe" in line]


def test_a_new_mailbox_reloads_but_probes_nothing(node: PreparedNode, generation: int) -> None:
    spec = good_spec(generation + 1)
    spec.egresses[0].mailboxes.append("new@acme.test")
    lines = len(node.log())
    assert node.apply(spec).stage == ""
    added = node.log()[lines:]
    assert any("reload -- version" in line for line in added)
    assert not any("probe" in line for line in added)
    found = "postmap -q new@acme.test lmdb:/etc/postfleet/current/postfix/sender_transport"
    assert node.run(found).strip() == "egress-px001:"


def test_a_new_egress_is_probed_and_only_it(node: PreparedNode, generation: int) -> None:
    spec = good_spec(generation + 1)
    add_egress(spec, 3)
    lines = len(node.log())
    assert node.apply(spec).stage == ""
    probed = {line.split("@")[1] for line in node.log()[lines:] if "from=<probe@" in line}
    assert {name.split(".")[0] for name in probed} == {"px003"}


def test_an_egress_that_left_has_no_transport(node: PreparedNode, generation: int) -> None:
    assert node.apply(good_spec(generation + 1, egresses=1)).stage == ""
    assert "egress-px002" not in node.run("postconf -M")
    assert (
        node.run("postmap -q m2-0@acme.test lmdb:/etc/postfleet/current/postfix/senders || true")
        == ""
    )
    with node.gateway() as gateway:
        assert [e.egress_id for e in gateway.status().egresses] == ["px001"]


def test_a_lower_generation_is_refused(node: PreparedNode, generation: int) -> None:
    assert node.apply(good_spec(generation + 1)).stage == ""
    reply = node.apply(good_spec(generation, egresses=1))
    assert (reply.stage, reply.running_generation) == ("validate", generation + 1)


def test_bananas_are_refused(node: PreparedNode, generation: int) -> None:
    spec = good_spec(generation + 1)
    spec.mail.tls_level = 77  # type: ignore[assignment]
    reply = node.apply(spec)
    assert (reply.stage, reply.running_generation) == ("validate", generation)
    assert "tls_level" in reply.error


_DAMAGE = {
    # Postfix starts with this and says nothing; only a transport that is used shows it.
    "bananas": (
        "main.cf",
        "s/^smtp_tls_security_level.*/smtp_tls_security_level = bananas/",
        ("probe", "px001"),
    ),
    "unknown name": ("main.cf", "s/^biff = no/biff = no\\nbif = no/", ("check", "bif")),
    "no equals": ("main.cf", "s/^biff = no/biff no/", ("check", "main.cf")),
    "short line": ("master.cf", "s/^discard unix .*/discard unix - -/", ("check", "postconf")),
    "no such program": ("master.cf", "s/ smtp$/ smpt/", ("check", "egress-px001")),
    "opendkim": ("opendkim.conf", "s/^Mode s/Mood s/", ("check", "opendkim")),
    "no milter": (
        "main.cf",
        "s/^smtpd_milters = .*/smtpd_milters = unix:\\/nowhere/",
        ("probe", "intake"),
    ),
}


@pytest.mark.parametrize("damage", _DAMAGE.values(), ids=_DAMAGE)
def test_a_generation_that_does_not_work_leaves_the_one_before(
    damage: tuple[str, str, tuple[str, str]], node: PreparedNode, generation: int
) -> None:
    file, script, (stage, word) = damage
    before = node.current()
    template = f"{TEMPLATES}/{file}.j2"
    node.run(f"cp $(echo {template}) /root/kept.j2; sed -i '{script}' {template}")
    try:
        reply = node.apply(good_spec(generation + 1))
    finally:
        node.run(f"cat /root/kept.j2 > $(echo {template})")
    assert reply.stage == stage, reply.error
    assert word in reply.error
    assert reply.running_generation == generation
    assert node.current() == before
    assert "failed-" in node.run("ls /etc/postfleet/generations")
    assert node.run("ls /etc/postfleet/pending.json 2>/dev/null || true") == ""
    assert node.apply(good_spec(generation)).unchanged
    assert node.queue() == []


def test_a_key_that_is_none_is_refused_before_anything_is_touched(
    node: PreparedNode, generation: int
) -> None:
    spec = good_spec(generation + 1)
    pem = spec.dkim_keys[0].private_key_pem
    lines = pem.splitlines()
    lines[10] = lines[10][::-1]
    spec.dkim_keys[0].private_key_pem = "\n".join(lines) + "\n"
    reply = node.apply(spec)
    assert (reply.stage, reply.running_generation) == ("check", generation)
    assert "acme.test" in reply.error
    assert lines[10] not in reply.error


def test_an_address_that_the_node_does_not_have_is_refused(
    node: PreparedNode, generation: int
) -> None:
    spec = good_spec(generation + 1)
    spec.egresses[0].address.address = "192.0.2.99"
    reply = node.apply(spec)
    assert (reply.stage, reply.running_generation) == ("check", generation)
    assert "192.0.2.99" in reply.error


def test_a_spec_for_another_node_is_refused(node: PreparedNode, generation: int) -> None:
    node.run("echo 'node_id = \"n1\"' > /etc/postfleet/agent.toml")
    try:
        spec = good_spec(generation + 1)
        spec.node_id = "n9"
        reply = node.apply(spec)
    finally:
        node.run("rm /etc/postfleet/agent.toml")
    assert (reply.stage, reply.running_generation) == ("validate", generation)


def test_only_the_agent_may_ask(node: PreparedNode, generation: int) -> None:
    ask = "import socket; socket.socket(1).connect('/run/postfleet-apply.sock'); print('in')"
    command = f'/opt/postfleet/current/bin/python -c "{ask}"'
    assert node.run_as("postfleet-agent", command).strip() == "in"
    assert node.run_as("postfleet-gateway", f"{command} 2>/dev/null", check=False) == ""


def test_what_a_package_upgrade_replaced_is_linked_again(
    node: PreparedNode, generation: int
) -> None:
    node.run("rm /etc/postfix/main.cf; echo 'myhostname = wrong' > /etc/postfix/main.cf")
    reply = node.apply(good_spec(generation))
    assert reply.stage == ""
    assert node.run("postconf -h myhostname").strip() == "n1.fleet.test"


def test_a_service_that_was_stopped_runs_after_the_same_spec(
    node: PreparedNode, generation: int
) -> None:
    node.run("systemctl stop opendkim; postfix stop 2>/dev/null")
    assert node.apply(good_spec(generation)).stage == ""
    assert node.run("systemctl is-active opendkim").strip() == "active"
    assert node.queue() == []


def test_a_spec_of_no_egresses_can_be_applied(node: PreparedNode, generation: int) -> None:
    assert node.apply(good_spec(generation + 1, egresses=0)).stage == ""
    assert node.apply(spec_pb2.NodeSpec()).stage == "validate"
