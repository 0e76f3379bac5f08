"""Queue ids are exact: nothing that postsuper(1) would take for more than one message passes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postfleet.v1 import local_pb2

from node_agent.apply.errors import ValidationFailed
from node_agent.apply.queue_command import checked

GOOD = ["4jX73S2RW4zDT6k", "3Pt2mN2VXxznjll", "4jX75s22fxzDSCn"]


def _command(
    *queue_ids: str, action: local_pb2.QueueAction = local_pb2.QUEUE_ACTION_HOLD
) -> local_pb2.QueueCommand:
    return local_pb2.QueueCommand(action=action, queue_ids=queue_ids)


def test_long_queue_ids_are_taken_as_they_are() -> None:
    assert checked(_command(*GOOD)) == (["-h", "-"], GOOD)
    assert checked(_command(*GOOD, action=local_pb2.QUEUE_ACTION_UNHOLD))[0] == ["-H", "-"]
    assert checked(_command(*GOOD, action=local_pb2.QUEUE_ACTION_DELETE))[0] == ["-d", "-"]


def test_what_is_to_wait_or_to_be_on_hold_is_looked_for_there_only() -> None:
    hold = _command(*GOOD, action=local_pb2.QUEUE_ACTION_HOLD_WAITING)
    assert checked(hold) == (["-h", "-", "incoming", "deferred"], GOOD)
    delete = _command(*GOOD, action=local_pb2.QUEUE_ACTION_DELETE_HELD)
    assert checked(delete) == (["-d", "-", "hold"], GOOD)


@pytest.mark.parametrize(
    "queue_id",
    ["", "ALL", "all", "-", "-d", "incoming", "hold", "4jX73S2RW4zDT6k\n", "4jX73S2RW4zDT6k ALL",
     "../active/4jX73S2RW4zDT6k", "D3F2A1B0C9", "4jX73S2RW4zDT6k*", "z" * 60, "4jX73S2RW4aDT6k"],
)  # fmt: skip
def test_anything_else_is_refused(queue_id: str) -> None:
    with pytest.raises(ValidationFailed):
        checked(_command(GOOD[0], queue_id))


@given(st.text())
def test_no_text_with_anything_but_queue_id_characters_passes(text: str) -> None:
    if not text.isascii() or not text.isalnum():
        with pytest.raises(ValidationFailed):
            checked(_command(text))


def test_an_action_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationFailed, match="none of hold"):
        checked(_command(GOOD[0], action=local_pb2.QUEUE_ACTION_UNSPECIFIED))


def test_too_many_ids_at_once_are_refused() -> None:
    with pytest.raises(ValidationFailed, match="at most"):
        checked(_command(*[GOOD[0]] * 10_001))


def test_it_loads_nothing_that_renders() -> None:
    """A hold must come before Postfix tries again; what renders would double its time."""
    names = "pydantic", "jinja2", "node_agent.apply.render"
    script = f"import node_agent.apply.main, sys; print([n for n in {names} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_a_process_of_its_own_loads_only_what_a_queue_command_needs() -> None:
    """Recalls come by the second while a receiver takes less; each of them loads it."""
    program = "import sys, node_agent.apply.main; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "node_agent" in loaded
    assert not loaded & {"asyncio", "structlog", "jinja2", "pydantic", "grpc", "socks"}
