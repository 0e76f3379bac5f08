"""hold, unhold and delete by exact queue id: what the agent needs postsuper(1), thus root, for.

postsuper knows "ALL" and other words in the place of an id; none of them is made of the letters of
a long queue id, and nothing else passes here.

Two of the actions name the queues. postsuper and qmgr(8) both move a file by one rename(2), so
either gets it and the other finds nothing: what "hold waiting" put on hold was in nobody's hands.
Taken out of "active" instead, a file could miss the smtp(8) that is just told to open it, which
then ends without a word, and qmgr(8) defers other mail of the transport for that, too.

Needs no lock: renames by id disturb neither each other nor a spec that is being applied.
"""

from __future__ import annotations

import re
from pathlib import Path

from postfleet.v1 import local_pb2

from node_agent.apply import durable
from node_agent.apply.command import run
from node_agent.apply.errors import QueueCommandFailed, ValidationFailed

# Base 52 without vowels: seconds (6 and more), microseconds (4), "z", inode number. postconf(5),
# enable_long_queue_ids. "z" is the digit 51, so it may stand elsewhere, too.
_DIGIT = "[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]"
LONG_QUEUE_ID = re.compile(f"{_DIGIT}{{10,20}}z{_DIGIT}{{1,14}}")
_MOST_IDS = 10_000
_HOLD = Path("/var/spool/postfix/hold")
# postsuper's option, and the queues it looks in; none: those it looks in by itself.
_ACTIONS: dict[int, tuple[str, tuple[str, ...]]] = {
    local_pb2.QUEUE_ACTION_HOLD: ("-h", ()),
    local_pb2.QUEUE_ACTION_UNHOLD: ("-H", ()),
    local_pb2.QUEUE_ACTION_DELETE: ("-d", ()),
    local_pb2.QUEUE_ACTION_HOLD_WAITING: ("-h", ("incoming", "deferred")),
    local_pb2.QUEUE_ACTION_DELETE_HELD: ("-d", ("hold",)),
}


def run_queue_command(command: local_pb2.QueueCommand) -> None:
    """Do it. An id that is not in the queue (any more) is no error: the wish is fulfilled.

    Raises ValidationFailed (nothing was done) or QueueCommandFailed.
    """
    arguments, queue_ids = checked(command)
    if not queue_ids:
        return
    outcome = run("/usr/sbin/postsuper", *arguments, stdin="".join(f"{i}\n" for i in queue_ids))
    if not outcome.ok:
        raise QueueCommandFailed(f"{outcome}; ids before the failure may be done; ask again")
    if command.action == local_pb2.QUEUE_ACTION_DELETE_HELD:
        _make_durable()


def _make_durable() -> None:
    """A file that came back after a power loss would be sent again, when another node has it."""
    try:
        durable.sync(_HOLD)
    except OSError as error:
        raise QueueCommandFailed(f"deleted, but {_HOLD} cannot be synced: {error}") from error


def checked(command: local_pb2.QueueCommand) -> tuple[list[str], list[str]]:
    """Return postsuper's arguments and the ids. Pure; raises ValidationFailed."""
    action = _ACTIONS.get(command.action)
    if action is None:
        raise ValidationFailed(f"queue action {command.action} is none of hold, unhold, delete")
    if len(command.queue_ids) > _MOST_IDS:
        raise ValidationFailed(f"{len(command.queue_ids)} queue ids; at most {_MOST_IDS} at once")
    for queue_id in command.queue_ids:
        if not LONG_QUEUE_ID.fullmatch(queue_id):
            raise ValidationFailed(f"{queue_id[:40]!r} is no long queue id; nothing was done")
    option, queues = action
    return [option, "-", *queues], list(command.queue_ids)
