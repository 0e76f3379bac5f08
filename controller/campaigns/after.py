"""What comes next for a recipient when a message of the campaign has ended. Pure.

A follow-up goes so many days after the message before it was sent, and only then: who did not get
one gets no further one. What nobody knows was sent (`uncertain`) stops, or is sent once more, as
the campaign says; when it shows later that it was sent, the recipient goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from controller.message_life import State

UNCERTAIN = "what became of a message is not known"
AGAIN = "sent once more: what became of it was not known"
STOPPED = {
    State.BOUNCED: "a message bounced",
    State.EXPIRED: "a message was not taken in time",
    State.SUPPRESSED: "the recipient is suppressed",
    State.CANCELLED: "a message was cancelled",
    State.UNCERTAIN: UNCERTAIN,
}
"""Why nothing follows a message that ended so; stands with the recipient and in figures."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the message of step `step` (0: the first) ended, and how its recipient stands.

    `stands`, `why`: state and reason of the recipient. `final_at`: aware; None: it is uncertain.
    """

    state: State
    step: int
    final_at: datetime | None
    stands: str
    why: str


@dataclass(frozen=True, slots=True)
class Next:
    """`state` and `why` of the recipient from now on; `at`: when the next follow-up is due.

    `again`: the message is to be sent once more. `keeps_rest`: what was to follow may still follow.
    """

    state: str
    why: str = ""
    at: datetime | None = None
    again: bool = False
    keeps_rest: bool = True


def after(ended: Ended, delays_days: Sequence[int], on_uncertain: str) -> Next | None:
    """What comes next; None: nothing changes.

    `delays_days`: of each follow-up, after the message before it. `on_uncertain`: stop, resend.
    """
    reopened = ended.stands == "stopped" and ended.why == UNCERTAIN
    if ended.stands != "open" and not reopened:
        return None
    if ended.state is State.UNCERTAIN:
        return _uncertain(ended, on_uncertain, has_more=ended.step < len(delays_days))
    if ended.step >= len(delays_days):
        return Next("done", keeps_rest=False)
    if ended.state is State.SENT and ended.final_at is not None:
        return Next("open", at=ended.final_at + timedelta(days=delays_days[ended.step]))
    return Next("stopped", STOPPED[ended.state], keeps_rest=False)


def _uncertain(ended: Ended, on_uncertain: str, has_more: bool) -> Next | None:
    if ended.stands != "open":
        return None
    if on_uncertain == "resend" and ended.why != AGAIN:
        return Next("open", AGAIN, again=True)
    return Next("stopped", UNCERTAIN) if has_more else Next("done", keeps_rest=False)
