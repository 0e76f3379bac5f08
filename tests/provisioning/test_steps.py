"""From recorded looks at real nodes to the steps they need, and to none where none is needed."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace

import pytest

from provisioning.actions import Enrol, Script, Step, Upload, WriteFiles
from provisioning.errors import Unsupported
from provisioning.facts import CertificateFact, Facts, PathFact, UnitFact
from provisioning.steps import plan
from provisioning.steps_farewell import farewell
from tests.provisioning.recorded import RELEASE, bundle, facts, wish

NODES = [("node-12", "n1"), ("node-13", "n2")]


def steps(found: Facts, node_id: str = "n1", release_id: str = RELEASE) -> list[Step]:
    return plan(found, wish(node_id, release_id), bundle(found.major, release_id))


def scripts(some: list[Step]) -> str:
    return "\n".join(a.text for step in some for a in step.actions if isinstance(a, Script))


@pytest.mark.parametrize(("name", "node_id"), NODES)
def test_a_provisioned_node_needs_nothing(name: str, node_id: str) -> None:
    assert steps(facts(name, node_id), node_id) == []


@pytest.mark.parametrize("name", ["bare-12", "bare-13"])
def test_a_bare_machine_needs_everything_in_this_order(name: str) -> None:
    found = [step.name for step in steps(facts(name))]
    assert found == ["packages", "release", "files", "certificate", "services"]


def test_only_missing_packages_are_installed() -> None:
    found = facts("node-12")
    found = replace(found, packages={k: v for k, v in found.packages.items() if k != "nftables"})
    (step,) = steps(found)
    assert step.why == ("not installed: nftables",)
    assert "install --no-install-recommends nftables\n" in scripts([step])


def test_no_service_is_started_by_the_packages_and_postfix_gets_no_configuration() -> None:
    text = scripts(steps(facts("bare-12"))[:1])
    assert text.index("policy-rc.d") < text.index("$apt install")
    assert "postfix/main_mailer_type select No configuration" in text


def test_a_postfix_that_others_set_up_is_closed_before_anything_else() -> None:
    found = facts("bare-12")
    theirs = PathFact("regular file", "root", "root", "0644")
    found = replace(found, paths={**found.paths, "/etc/postfix/main.cf": theirs})
    assert steps(found)[0].name == "close"


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("/etc/postfleet/agent.toml", {"sha256": "0" * 64}),
        ("/etc/postfleet/agent.toml", {"mode": "0666"}),
        ("/etc/systemd/system/postfleet-gateway.service", {"owner": "nobody"}),
        ("/etc/postfleet/gateway", {"group": "root"}),
        ("/var/log/postfleet/mail.log", {"mode": "0600"}),
    ],
)
def test_a_changed_file_owner_or_mode_is_named_and_mended(
    path: str, change: dict[str, str]
) -> None:
    found = facts("node-12")
    changed = replace(found.paths[path], **change)  # type: ignore[arg-type]
    step = steps(replace(found, paths={**found.paths, path: changed}))[0]
    assert step.name == "files"
    assert step.why == (f"{path} differs",)


def test_changed_agent_toml_restarts_its_readers_and_nobody_else() -> None:
    found = facts("node-12")
    path = "/etc/postfleet/agent.toml"
    found = replace(found, paths={k: v for k, v in found.paths.items() if k != path})
    files, services = steps(found)
    assert [f.path for a in files.actions if isinstance(a, WriteFiles) for f in a.files] == [path]
    text = scripts([services])
    assert "systemctl restart postfleet-agent.service postfleet-gateway.service\n" in text
    assert "daemon-reload" not in text


def test_a_changed_socket_is_restarted_while_its_service_is_stopped() -> None:
    found = facts("node-12")
    path = "/etc/systemd/system/postfleet-gateway.socket"
    found = replace(found, paths={k: v for k, v in found.paths.items() if k != path})
    lines = scripts(steps(found)[-1:]).splitlines()
    stop = next(n for n, line in enumerate(lines) if "stop postfleet-gateway.service" in line)
    assert lines[stop + 1] == "systemctl restart postfleet-gateway.socket"
    assert lines[stop + 2] == "systemctl start postfleet-gateway.service"


def test_a_new_release_is_installed_beside_the_running_one_and_switched_to() -> None:
    install, services = steps(facts("node-12"), release_id="0.2.0-abcdef0123")
    upload = install.actions[0]
    assert isinstance(upload, Upload)
    assert upload.target.endswith("postfleet-0.2.0-abcdef0123-cp311.tar")
    assert "rm -rf $upload $upload.d \n" in scripts([install])  # the running one stays
    assert "mv -T /opt/postfleet/.current.new /opt/postfleet/current" in scripts([services])
    assert "systemctl restart postfleet-agent.service postfleet-gateway.service" in scripts(
        [services]
    )


def test_releases_older_than_the_running_one_are_removed_with_the_next() -> None:
    found = facts("node-12")
    found = replace(found, releases=frozenset({*found.releases, "0.0.9-old"}))
    (install, _) = steps(found, release_id="0.2.0-abcdef0123")
    assert "/opt/postfleet/0.0.9-old\n" in scripts([install])
    assert RELEASE not in scripts([install])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"uri": "spiffe://postfleet/node/n9"}, "is for spiffe://postfleet/node/n9"),
        ({"matches_key": False}, "not for this key"),
        ({"from_ca": False}, "not of this CA"),
        ({"fresh": False}, "less than 30 days"),
    ],
)
def test_a_certificate_that_is_not_right_is_replaced_and_the_key_kept(
    change: dict[str, object], why: str
) -> None:
    found = facts("node-12")
    wrong = replace(found.certificate, **change)  # type: ignore[arg-type]
    (step,) = steps(replace(found, certificate=wrong))
    assert step.name == "certificate"
    assert why in step.why[0]
    assert Enrol("n1") in step.actions
    assert "if [ ! -s /etc/postfleet/tls/node.key ]" in scripts([step])


def test_a_key_that_others_may_read_is_no_key() -> None:
    found = facts("node-12")
    path = "/etc/postfleet/tls/node.key"
    open_key = replace(found.paths[path], mode="0644")
    (step,) = steps(replace(found, paths={**found.paths, path: open_key}))
    assert step.why == (f"{path} is root:postfleet-agent 0644",)


def test_a_unit_that_the_machine_forbids_is_not_tried_again() -> None:
    """chrony in a container: its Condition…= failed when it was started."""
    found = facts("node-12")
    assert found.units["chrony.service"].active == "inactive"
    assert found.units["chrony.service"].satisfied
    never = UnitFact("loaded", "inactive", "enabled", condition_failed=False)
    (step,) = steps(replace(found, units={**found.units, "chrony.service": never}))
    assert step.why == ("not running: chrony.service",)


def test_a_closed_socket_is_opened_although_its_service_runs() -> None:
    """systemd refuses to listen while the service runs without its socket."""
    found = facts("node-12")
    closed = replace(found.units["postfleet-gateway.socket"], active="failed")
    (step,) = steps(replace(found, units={**found.units, "postfleet-gateway.socket": closed}))
    stop, start = scripts([step]).splitlines()[-2:]
    assert stop == "systemctl stop postfleet-gateway.service"
    assert start == "systemctl start postfleet-gateway.socket postfleet-gateway.service"


def test_a_stopped_agent_is_started() -> None:
    found = facts("node-12")
    stopped = replace(found.units["postfleet-agent.service"], active="failed")
    (step,) = steps(replace(found, units={**found.units, "postfleet-agent.service": stopped}))
    assert "systemctl start postfleet-agent.service\n" in scripts([step])


@pytest.mark.parametrize(
    "change",
    [
        {"distribution": "ubuntu", "major": "24.04"},
        {"major": "11"},
        {"machine": "aarch64"},
        {"python": "3.12"},
        {"free_kib": 10},
    ],
)
def test_a_machine_that_can_be_no_node_is_refused_before_anything_is_done(
    change: dict[str, object],
) -> None:
    found = facts("bare-12")
    with pytest.raises(Unsupported, match="Nothing was changed"):
        plan(replace(found, **change), wish(), bundle("12"))  # type: ignore[arg-type]


def test_a_machine_without_python_gets_it_with_the_packages() -> None:
    found = replace(facts("bare-12"), python="", packages={})
    assert "python3" in steps(found)[0].why[0]


def test_farewell_removes_what_was_brought_and_leaves_nothing_to_do_a_second_time() -> None:
    assert [s.name for s in farewell(facts("node-12"), wish())] == ["stop", "remove", "users"]
    assert farewell(facts("bare-12"), wish()) == []


def test_every_script_is_understood_by_the_shell() -> None:
    everything = steps(facts("bare-12")) + steps(facts("node-13", "n2"), "n2", "9-9")
    everything += farewell(facts("node-12"), wish())
    for step in everything:
        for action in step.actions:
            if isinstance(action, Script):
                subprocess.run(["sh", "-n", "-c", action.text], check=True)
                assert not re.search(r"\{[a-z]+\}", action.text.replace("${", "")), action.text


def test_nothing_is_known_of_a_certificate_that_is_not_there() -> None:
    assert facts("bare-13").certificate == CertificateFact()
