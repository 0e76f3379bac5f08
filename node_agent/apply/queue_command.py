"""hold, unhold and delete by exact queue id: what the agent needs postsuper(1), thus root, for.

postsuper knows "ALL" and other words in the place of an id; none of them is made of the letters of
a long queue id, and nothing else passes here.
"""

from __future__ import annotations

import re

from postfleet.v1 import local_pb2

from node_agent.apply.command import run
from node_agent.apply.errors import QueueCommandFailed, ValidationFailed

# Base 52 without vowels: seconds (6 and more), microseconds (4), "z", inode number. postconf(5),
# enable_long_queue_ids. "z" is the digit 51, so it may stand elsewhere, too.
_DIGIT = "[0-9B-DF-HJ-NP-TV-Zb-df-hj-np-tv-z]"
LONG_QUEUE_ID = re.compile(f"{_DIGIT}{{10,20}}z{_DIGIT}{{1,14}}")
_MOST_IDS = 10_000
_OPTIONS = {
    local_pb2.QUEUE_ACTION_HOLD: "-h",
    local_pb2.QUEUE_ACTION_UNHOLD: "-H",
    local_pb2.QUEUE_ACTION_DELETE: "-d",
}


def run_queue_command(command: local_pb2.QueueCommand) -> None:
    """Do it. An id that is not in the queue (any more) is no error: the wish is fulfilled.

    Raises ValidationFailed (nothing was done) or QueueCommandFailed.
    """
    option, queue_ids = checked(command)
    if not queue_ids:
        return
    outcome = run("/usr/sbin/postsuper", option, "-", stdin="".join(f"{i}\n" for i in queue_ids))
    if not outcome.ok:
        raise QueueCommandFailed(f"{outcome}; ids before the failure may be done; ask again")


def checked(command: local_pb2.QueueCommand) -> tuple[str, list[str]]:
    """Return postsuper's option and the ids. Pure; raises ValidationFailed."""
    option = _OPTIONS.get(command.action)
    if option is None:
        raise ValidationFailed(f"queue action {command.action} is none of hold, unhold, delete")
    if len(command.queue_ids) > _MOST_IDS:
        raise ValidationFailed(f"{len(command.queue_ids)} queue ids; at most {_MOST_IDS} at once")
    for queue_id in command.queue_ids:
        if not LONG_QUEUE_ID.fullmatch(queue_id):
            raise ValidationFailed(f"{queue_id[:40]!r} is no long queue id; nothing was done")
    return option, list(command.queue_ids)
