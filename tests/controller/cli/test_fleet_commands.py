"""Commands about the fleet, against a running controller."""

from __future__ import annotations

import json

import pytest
from postfleet.v1 import fleet_pb2

from tests.controller.cli.conftest import Cli
from tests.controller.served import new_csr, small_inventory


async def test_an_inventory_is_planned_applied_and_then_nothing_differs(cli: Cli) -> None:
    file = cli.inventory(small_inventory())
    planned = await cli("fleet", "plan", file)
    assert planned.code == 0, planned.err
    assert "+ 24 mailboxes: ada.arendt@harbor-mail.test … " in planned.out
    assert "planned: 38 to add, 0 to change, 0 to remove" in planned.out
    assert (await cli("fleet", "plan", file, "--check")).code == 1
    dry = await cli("fleet", "apply", file, "--dry-run")
    assert (dry.code, dry.out) == (0, planned.out)
    applied = await cli("fleet", "apply", file)
    assert applied.code == 0, applied.err
    assert "applied: 38 added, 0 changed, 0 removed" in applied.out
    again = await cli("fleet", "plan", file, "--check")
    assert again.code == 0, again.err
    assert "nothing to change" in again.out


async def test_json_has_every_field_of_the_protocol(cli: Cli) -> None:
    await cli.apply()
    shown = await cli("fleet", "show", "--json")
    assert shown.data["mailboxes"] == 24
    assert shown.data["messages"] == {}
    nodes = await cli("node", "list", "--json")
    assert [each["id"] for each in nodes.data] == ["n1", "n2", "n3"]
    assert nodes.data[0]["last_seen"] is None
    assert nodes.data[0]["capacity"] == 24


async def test_lists_are_tables_with_whole_rows(cli: Cli) -> None:
    await cli.apply()
    for group in ("node", "mailbox", "egress", "domain", "shard"):
        ran = await cli(group, "list")
        assert ran.code == 0, ran.err
        lines = ran.out.splitlines()
        assert lines[0].startswith(group.upper() if group != "shard" else "NODE")
        assert not any("…" in line for line in lines if group != "shard")
    filtered = await cli("mailbox", "list", "--filter", "ben.", "--client", "alpine")
    assert len(filtered.out.splitlines()) == 2


async def test_one_thing_is_shown_or_not_found(cli: Cli) -> None:
    await cli.apply()
    box = await cli("mailbox", "show", "ada.arendt@harbor-mail.test")
    assert "px001" in box.out
    egress = await cli("egress", "show", "px001", "--json")
    assert len(egress.data["mailbox_addresses"]) == 5
    node = await cli("node", "show", "n1")
    assert "provider-north" in node.out
    for arguments in (
        ("mailbox", "show", "nobody@harbor-mail.test"),
        ("egress", "show", "px999"),
        ("node", "show", "n9"),
        ("domain", "dns", "nowhere.test"),
        ("message", "show", "0a"),
        ("node", "cordon", "n9"),
        ("egress", "suspend", "px999", "--reason", "x"),
    ):
        ran = await cli(*arguments)
        assert ran.code == 4, ran
        assert ran.out == ""
        assert "there is no" in ran.err


async def test_an_inventory_with_errors_is_refused_with_all_of_them(cli: Cli) -> None:
    file = cli.folder / "bad.yaml"
    file.write_text(
        small_inventory()
        .replace("capacity:", "capazity:", 1)
        .replace("egress: px001", "egress: px1", 1)
    )
    ran = await cli("fleet", "apply", str(file))
    assert ran.code == 1
    assert f"{file} has 2 errors, and nothing was changed" in ran.err
    assert "'px1': no such egress; did you mean 'px001'?" in ran.err
    assert "unknown field; did you mean 'capacity'?" in ran.err
    missing = await cli("fleet", "plan", "nowhere.yaml", "--json")
    assert missing.code == 1
    assert json.loads(missing.err)["exit"] == 1


async def test_secrets_come_from_their_directory_and_are_never_printed(cli: Cli) -> None:
    file = cli.inventory(small_inventory())
    elsewhere = cli.folder / "moved"
    elsewhere.mkdir()
    for name in ("proxy-passwords", "host-keys"):
        (cli.folder / name).rename(elsewhere / name)
    ran = await cli("fleet", "apply", file)
    assert ran.code == 1
    assert "proxy-passwords/harbor: No such file" in ran.err
    applied = await cli("fleet", "apply", file, "--secrets-dir", str(elsewhere), "--all", "--json")
    assert applied.code == 0
    assert "s3cret" not in applied.out + applied.err


async def test_removing_what_is_in_service_is_refused_with_the_reason(cli: Cli) -> None:
    await cli.apply()
    text = small_inventory()
    await cli.served.fleet.EnrolNode(fleet_pb2.EnrolNodeRequest(node_id="n3", csr_pem=new_csr()))
    smaller = cli.inventory(text[: text.index("  - id: n3")], "smaller.yaml")
    for command in (("plan",), ("apply",), ("apply", "--dry-run")):
        ran = await cli("fleet", command[0], smaller, *command[1:])
        assert ran.code == 1
        assert "postfleet node decommission n3" in ran.err
        assert "Nothing was changed" in ran.err
    asked = await cli("node", "decommission", "n3", "--reason", "contract ends")
    assert asked.code == 1
    assert "--yes does it without asking" in " ".join(asked.err.split())
    done = await cli("node", "decommission", "n3", "--yes", "--reason", "contract ends")
    assert done.code == 0
    assert "its node drains" in done.out
    assert done.out.splitlines()[-1].startswith("n3 is out of service")
    assert (await cli("fleet", "apply", smaller)).code == 0


async def test_a_node_is_cordoned_once(cli: Cli) -> None:
    await cli.apply()
    dry = await cli("node", "cordon", "n1", "--dry-run")
    assert dry.out == "would change: n1 is cordoned\n"
    assert (await cli("node", "cordon", "n1")).out == "n1 is cordoned\n"
    assert (await cli("node", "cordon", "n1")).out == "n1 is cordoned already; nothing changed\n"
    opened = await cli("node", "uncordon", "n1", "--json")
    assert opened.data["changed"] is True
    audit = await cli("audit", "list", "--subject", "node/n1", "--json")
    assert [each["action"] for each in audit.data] == ["uncordon-node", "cordon-node"]
    assert audit.data[0]["actor"] == "operator/admin"


async def test_an_egress_is_suspended_for_a_while_and_released(cli: Cli) -> None:
    await cli.apply()
    stopped = await cli("egress", "suspend", "px001", "--reason", "we were asked", "--for", "2h")
    assert stopped.out == "egress px001 is suspended\n"
    listed = await cli("egress", "list", "--state", "suspended", "--json")
    assert [each["id"] for each in listed.data] == ["px001"]
    assert "we were asked" in listed.data[0]["reason"]
    assert (await cli("egress", "release", "px001")).out == "egress px001 is released\n"
    again = await cli("egress", "release", "px001")
    assert again.out == "egress px001 is not suspended by an operator; nothing changed\n"
    assert (await cli("egress", "suspend", "px001")).code == 2
    wrong = await cli("egress", "suspend", "px001", "--reason", "x", "--for", "soon")
    assert wrong.code == 2
    assert "such as 2h or 10d" in wrong.err


async def test_dns_records_are_lines_of_a_zone_file(cli: Cli) -> None:
    await cli.apply()
    zone = await cli("fleet", "dns")
    records = [line for line in zone.out.splitlines() if not line.startswith(";")]
    assert len(records) == 21
    assert all(line.split()[2] == "IN" for line in records)
    ptr = await cli("fleet", "dns", "--purpose", "ptr", "--client", "harbor", "--json")
    assert [each["data"] for each in ptr.data] == [
        "mx-001.harbor-out.test.", "mx-002.harbor-out.test.",
    ]  # fmt: skip
    one = await cli("domain", "dns", "harbor-mail.test", "--json")
    assert [each["purpose"] for each in one.data] == ["dkim", "spf", "dmarc"]
    assert (await cli("fleet", "dns", "--purpose", "x")).code == 2


@pytest.mark.parametrize(
    ("scope", "subject", "stopped"),
    [
        ("mailbox", "ada.arendt@harbor-mail.test", 1),
        ("domain", "harbor-mail.test", 10),
        ("client", "harbor", 10),
    ],
)
async def test_whatever_is_suspended_stops_its_mailboxes_until_it_is_released(
    cli: Cli, scope: str, subject: str, stopped: int
) -> None:
    await cli.apply()
    ran = await cli(scope, "suspend", subject, "--reason", "asked to pause", "--for", "2h")
    assert (ran.code, ran.out) == (0, f"{scope} {subject} is suspended\n"), ran.err
    boxes = (await cli("mailbox", "list", "--json")).data
    suspended = [each for each in boxes if each["state"] == "suspended"]
    assert len(suspended) == stopped
    assert {"asked to pause" in each["reason"] for each in suspended} == {True}
    ran = await cli(scope, "release", subject)
    assert ran.out == f"{scope} {subject} is released\n"
    missing = await cli(scope, "suspend", "nothing-like-it", "--reason", "x")
    assert (missing.code, "there is no" in missing.err) == (4, True)
