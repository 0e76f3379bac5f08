"""Fail closed: only the gateway gets out on an SMTP port, and only the agent gets mail in."""

from __future__ import annotations

import re

import pytest

from tests.apply.prepared_node import PYTHON, PreparedNode, eventually
from tests.apply.specs import good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(900)]

_CONNECT = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
s = socket.socket(family)
s.settimeout(2)
if sys.argv[1]: s.bind((sys.argv[1], 0))
try:
    s.connect((sys.argv[2], int(sys.argv[3])))
    print("connected")
except OSError as error:
    print(type(error).__name__)
"""
# Nobody is there; what is not dropped would time out just the same, so the rule's counter tells.
OUTSIDE, OUTSIDE_6 = "203.0.113.200", "2001:db8::25"


_IPV6 = """
cable=$(ip -o -4 route show default | sed 's/.* dev //; s/ .*//')
sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.$cable.disable_ipv6=0
ip -6 address replace 2001:db8::1/64 dev $cable nodad
ip -6 route get 2001:db8::25
"""


@pytest.fixture
def node(node: PreparedNode) -> PreparedNode:
    """A node that runs a generation and has a way out for IPv6, too."""
    node.run_good_spec()
    node.run(_IPV6)
    return node


def _connect(node: PreparedNode, user: str, target: str, port: int, source: str = "") -> str:
    node.path("/tmp/connect.py").write_text(_CONNECT)
    command = f"{PYTHON} /tmp/connect.py '{source}' {target} {port}"
    return node.run_as(user, command).strip()


def _dropped(node: PreparedNode, rule: str) -> int:
    """Packets that the rule with this text has counted."""
    table = node.run("nft list chain inet postfleet out")
    counted = re.findall(rf"{rule}.*counter packets (\d+)", table)
    return sum(int(number) for number in counted)


@pytest.mark.parametrize("target", [OUTSIDE, OUTSIDE_6], ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("user", ["nobody", "root", "postfix", "postfleet-agent"])
def test_a_connection_of_another_user_is_dropped(
    user: str, target: str, node: PreparedNode
) -> None:
    for port in (25, 465, 587):
        before = _dropped(node, "skuid != ")
        assert _connect(node, user, target, port) != "connected"
        assert _dropped(node, "skuid != ") > before, port


def test_the_gateways_connection_is_not_dropped(node: PreparedNode) -> None:
    before = _dropped(node, "")
    _connect(node, "postfleet-gateway", OUTSIDE, 25)
    assert _dropped(node, "") == before


def test_nobody_borrows_a_surrogate_address(node: PreparedNode) -> None:
    before = _dropped(node, "skuid != ")
    assert _connect(node, "nobody", OUTSIDE, 25, source="198.18.0.1") != "connected"
    assert _dropped(node, "skuid != ") > before


@pytest.mark.parametrize(("port", "allowed"), [(10025, ()), (10587, ("postfleet-agent", "root"))])
def test_the_doors_inside_open_to_whom_they_are_for(
    port: int, allowed: tuple[str, ...], node: PreparedNode
) -> None:
    for user in ("nobody", "postfix", "postfleet-agent", "root"):
        answer = _connect(node, user, "127.0.0.1", port)
        assert answer == ("connected" if user in allowed else "ConnectionRefusedError"), user


def test_nobody_listens_for_mail_from_outside(node: PreparedNode) -> None:
    listening = node.run("ss -Hltn 'sport = :25 or sport = :465 or sport = :587 or sport = :10587'")
    assert [line.split()[3] for line in listening.splitlines()] == ["127.0.0.1:10587"]


def test_sendmail_is_of_no_use(node: PreparedNode) -> None:
    refused = node.run("echo hello | sendmail x@example.test 2>&1 || true")
    assert "not allowed to submit" in refused
    assert node.queue() == []


@pytest.mark.parametrize("verb", ["start", "reload", "restart"])
def test_what_debians_firewall_service_flushes_is_there_again(
    verb: str, node: PreparedNode
) -> None:
    if verb == "start":
        node.run("systemctl stop nftables; systemctl start postfleet-net")
    else:
        node.run("systemctl start nftables postfleet-net")
    node.run(f"systemctl {verb} nftables")
    eventually(
        lambda: "postfleet" in node.run("nft list tables"),
        lambda: node.run("nft list ruleset; systemctl status postfleet-net"),
    )


def test_without_the_rules_postfix_does_not_run(node: PreparedNode) -> None:
    node.run("systemctl start nftables; systemctl stop nftables")
    assert "postfleet" not in node.run("nft list tables")
    eventually(
        lambda: (
            "daemons run" not in node.run("pgrep -x master >/dev/null && echo daemons run || true")
        ),
        lambda: "Postfix still runs without the rules",
    )
    node.run_good_spec()
    assert "postfleet" in node.run("nft list tables")
    assert node.run("pgrep -x master")


def test_rules_that_somebody_flushed_are_back_after_a_probe_failed_for_it(
    node: PreparedNode,
) -> None:
    generation = node.run_good_spec()
    node.run("nft flush ruleset")
    spec = good_spec(generation)
    spec.mail.queue_lifetime_s -= 1
    reply = node.apply(spec)
    assert (reply.stage, reply.running_generation) == ("probe", generation)
    assert node.apply(spec).stage == ""
