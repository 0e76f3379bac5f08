"""What a rebuild decides before it touches anything: flags, candidates, refusals, disks, keys."""

from __future__ import annotations

from dataclasses import replace

import pytest
from invoke.exceptions import Exit
from postfleet.v1 import fleet_pb2

from provisioning.bare import Disk, disk_of
from provisioning.errors import ReinstallFailed
from provisioning.facts import PathFact
from provisioning.flags import REBUILD, WHICH
from provisioning.rebuild_consent import at_stake, is_alive, refusals
from provisioning.rebuild_how import How
from provisioning.rebuild_node import is_lost
from provisioning.reinstall import run_hook
from provisioning.wish import REBUILDING
from tests.provisioning.recorded import facts

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKCtUMQhOkkMCNwirQdtRlCLW1Ug"


def flags(**given: object) -> dict[str, object]:
    return {flag.name: flag.default for flag in (*WHICH, *REBUILD)} | given


def node(id: str, state: str = "connected", **fields: object) -> fleet_pb2.Node:
    values: dict[str, object] = {"capacity": 150, "mailboxes": 100, "lease_valid": True}
    values["lease_valid"] = state in ("connected", "cordoned")
    values["cordoned"] = state == "cordoned"
    return fleet_pb2.Node(id=id, state=state, **{**values, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name the nodes"),
        ({"node": "n1", "all_failed": True}, "name the nodes"),
        ({"node": "n1,n2", "host_key": KEY}, "about one machine"),
        ({"all_failed": True, "replace_with": "10.0.0.1"}, "about one machine"),
        ({"node": "n1", "host_key": "SHA256:abc"}, "is no key"),
        ({"node": "n1", "replace_with": "vps.example"}, "is no IP address"),
        ({"node": "n1", "together": 0}, "at least 1"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(Exit, match=said) as refused:
        How.of(flags(**given))
    assert refused.value.code == 2


def test_a_key_is_taken_without_its_comment() -> None:
    assert How.of(flags(node="n1", host_key=f"{KEY} root@n1")).host_key == KEY


@pytest.mark.parametrize(
    ("state", "lease", "lost", "alive"),
    [
        ("connected", True, False, True),
        ("cordoned", True, False, True),
        ("connected", False, False, True),
        # its stream broke, its lease is not over yet: it may be sending
        ("lost", True, False, True),
        ("lost", False, True, False),
        ("fenced", False, True, False),
        ("new", False, False, False),
        ("enrolled", False, False, False),
        ("decommissioned", False, False, False),
    ],
)
def test_a_node_is_lost_only_when_its_lease_is_over(
    state: str, lease: bool, lost: bool, alive: bool
) -> None:
    found = node("n1", state, lease_valid=lease)
    assert (is_lost(found), is_alive(found)) == (lost, alive)


def test_a_live_node_is_not_rebuilt_where_the_others_have_no_room() -> None:
    fleet = [node("n1"), node("n2"), node("n3", "cordoned"), node("n4", "lost")]
    (why,) = refusals(fleet[:1], fleet, {}, "", {})
    assert "100 mailboxes would have to go elsewhere, the other nodes have room for 50" in why
    assert refusals(fleet[:1], fleet, {"n1": 50}, "", {}) == []
    assert refusals(fleet[3:], fleet, {}, "", {}) == []


def test_nodes_that_are_rebuilt_together_are_no_room_for_one_another() -> None:
    fleet = [node("n1", mailboxes=50), node("n2", mailboxes=50), node("n3", mailboxes=100)]
    assert refusals(fleet[:1], fleet, {}, "", {}) == []
    assert len(refusals(fleet[:2], fleet, {}, "", {})) == 1


def test_another_nodes_address_and_a_decommissioned_node_are_refused() -> None:
    fleet = [node("n1", "lost", address="10.0.0.1"), node("n2", address="10.0.0.2")]
    assert refusals(fleet[:1], fleet, {}, "10.0.0.2", {}) == ["10.0.0.2 is the address of n2"]
    assert refusals(fleet[:1], fleet, {}, "10.0.0.3", {"n3": "10.0.0.3"})
    assert refusals(fleet[:1], fleet, {}, "10.0.0.1", {"n1": "10.0.0.1"}) == []
    assert "is decommissioned" in refusals([node("n9", "decommissioned")], fleet, {}, "", {})[0]


def test_what_is_at_stake_is_said_by_state() -> None:
    stake = fleet_pb2.NodeStake(
        life="silent",
        egresses=3,
        mailboxes=24,
        messages={"queued": 7, "dispatched": 1200},
        messages_not_due=1150,
    )
    said = at_stake("n3", stake)
    assert "n3 is silent, holds 3 egresses with 24 mailboxes" in said
    assert "1,200 dispatched, 7 queued" in said
    assert "57 of them may have been attempted and become uncertain; 1,150 were not due" in said
    assert "no mail depends" in at_stake("n3", fleet_pb2.NodeStake(life="alive"))


def test_only_a_certificate_makes_a_disk_one_that_has_to_go() -> None:
    bare, made = facts("bare-12"), facts("node-12")
    half = replace(made, paths={k: v for k, v in made.paths.items() if not k.endswith("node.pem")})
    mark = PathFact("regular file", "root", "root", "0644")
    marked = replace(made, paths={**made.paths, REBUILDING: mark})
    assert [disk_of(f) for f in (bare, half, made, marked)] == [
        Disk.BARE,
        Disk.BARE,
        Disk.NODE,
        Disk.UNFINISHED,
    ]


def test_the_hook_gets_node_and_host_and_may_tell_the_new_key() -> None:
    lines: list[str] = []
    command = f"echo $NODE at $HOST; echo '{KEY} root@n3'; echo done >&2"
    assert run_hook(command, "n3", "10.0.0.3", 30, lines.append) == KEY
    assert lines == ["n3 at 10.0.0.3", f"{KEY} root@n3", "done"]
    assert run_hook("cat", "n3", "10.0.0.3", 30, lines.append) == ""


def test_a_hook_that_fails_or_hangs_is_named_with_its_words() -> None:
    with pytest.raises(ReinstallFailed, match=r"(?s)NODE=n3 .*ended with 3 and said: no credit"):
        run_hook("echo no credit; exit 3", "n3", "10.0.0.3", 30, lambda _: None)
    with pytest.raises(ReinstallFailed, match=r"ended after 1 s by us"):
        run_hook("sleep 60 & wait", "n3", "10.0.0.3", 1, lambda _: None)
