"""Reads what postfleet-apply's guard wrote down: which queue files it held, and why.

One file for each, named by the queue id, with a sentence in it. The guard holds what may have been
in delivery when Postfix ended, and knows nothing of the log; the agent does. So the evidence of the
log wins, and only what has none becomes uncertain, with the guard's sentence as its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from node_agent.agent.errors import EvidenceError
from node_agent.agent.lifecycle import FINAL, State
from node_agent.agent.queue_view import QueueView


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from the guard's reports."""

    # message id to (queue id, reason): no evidence so far
    open: dict[str, tuple[str, str]]
    # queue ids of messages that have ended: their files are of no use, and must not go out
    over: list[str]


def read(directory: Path) -> dict[str, str]:
    """Queue id to reason. Raises EvidenceError where reports are there and cannot be read."""
    reports: dict[str, str] = {}
    try:
        for path in directory.iterdir():
            reports[path.name] = path.read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        # Nothing was ever held, or the guard is dropping what it no longer needs.
        return reports
    except OSError as error:
        raise EvidenceError(f"{directory}: {error}; what the guard held stays on hold") from error
    return reports


def judge(reports: Mapping[str, str], view: QueueView, states: Mapping[str, State]) -> Judgement:
    """Sort what is on hold by the guard. Pure.

    `states`: of the spool's messages, by message id. What an operator has released or deleted since
    is not on hold any more and is nobody's here.
    """
    judgement = Judgement({}, [])
    for queue_id, reason in sorted(reports.items()):
        message_id = view.messages.get(queue_id)
        if message_id is None or queue_id not in view.held:
            continue
        state = states.get(message_id)
        if state is State.QUEUED:
            judgement.open[message_id] = (queue_id, reason)
        elif state in FINAL:
            judgement.over.append(queue_id)
    return judgement
