"""`postfleet why` names what stops a mailbox and a message."""

from __future__ import annotations

from tests.controller.cli.conftest import Cli

_ADA = "ada.arendt@harbor-mail.test"
_LETTER = b"From: Ada <ada.arendt@harbor-mail.test>\nTo: reader@google.test\nSubject: s\n\nbody\n"


async def test_a_suspended_mailbox_is_explained_and_so_is_its_message(cli: Cli) -> None:
    await cli.apply()
    suspended = await cli("mailbox", "suspend", _ADA, "--reason", "three complaints")
    assert suspended.code == 0, suspended.err
    submitted = await cli("message", "submit", "--client", "harbor", "--json", stdin=_LETTER)
    (id_,) = [each["message_id"] for each in [submitted.data]]
    box = (await cli("why", "mailbox", _ADA.upper(), "--json")).data
    (stop,) = [each for each in box["facts"] if each["name"] == "suspension"]
    assert stop["binds"]
    assert stop["since"]
    assert "three complaints" in stop["value"]
    assert stop["change"] == f"postfleet mailbox release {_ADA}"
    assert "three complaints" in box["verdict"]
    names = {each["name"] for each in box["facts"]}
    assert {"mailbox state", "mailbox hour", "egress day", "client day", "window", "slot"} <= names
    message = (await cli("why", "message", id_, "--json")).data
    assert "three complaints" in message["verdict"]
    assert message["facts"][0]["value"].startswith("accepted")
    people = await cli("why", "message", id_)
    assert "●" in people.out
    assert people.out.rstrip().endswith(message["verdict"])


async def test_what_is_not_there_is_said_to_be_so(cli: Cli) -> None:
    await cli.apply()
    for kind in ("mailbox", "message"):
        ran = await cli("why", kind, "nobody@harbor-mail.test")
        assert ran.code == 4
        assert f"there is no {kind} 'nobody@harbor-mail.test'" in ran.err
