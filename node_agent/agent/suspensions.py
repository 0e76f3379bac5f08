"""Who may not send for now, as the controller said last. Pure; `now_ms` is wall time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from postfleet.v1 import node_pb2

_SCOPES = {
    node_pb2.SUSPENSION_SCOPE_MAILBOX: "mailbox",
    node_pb2.SUSPENSION_SCOPE_EGRESS: "egress",
    node_pb2.SUSPENSION_SCOPE_DOMAIN: "domain",
    node_pb2.SUSPENSION_SCOPE_CLIENT: "client",
}
_FOREVER_MS = 1 << 62


@dataclass(frozen=True, slots=True)
class _Stop:
    reason: str
    until_ms: int


@dataclass(frozen=True, slots=True)
class SuspensionList:
    """The complete list that holds; a new one replaces it."""

    _stops: dict[tuple[str, str], _Stop] = field(default_factory=dict)

    def why_stopped(self, mailbox: str, egress_id: str, client_id: str, now_ms: int) -> str | None:
        """Why this mailbox may not send now ("domain a.test: spam rate"), or None."""
        if not self._stops:
            return None
        subjects = (
            ("mailbox", mailbox),
            ("egress", egress_id),
            ("domain", mailbox.rpartition("@")[2]),
            ("client", client_id),
        )
        for scope, subject in subjects:
            stop = self._stops.get((scope, subject))
            if stop is not None and now_ms < stop.until_ms:
                return f"{scope} {subject}: {stop.reason}"
        return None

    def egress_reasons(self, now_ms: int) -> dict[str, str]:
        """Egress id to reason, of the suspensions in force now."""
        return {
            subject: stop.reason
            for (scope, subject), stop in self._stops.items()
            if scope == "egress" and now_ms < stop.until_ms
        }

    def next_end_ms(self, now_ms: int) -> int | None:
        """When the next suspension ends by itself; None: none does."""
        ends = [s.until_ms for s in self._stops.values() if now_ms < s.until_ms < _FOREVER_MS]
        return min(ends, default=None)


def read(suspensions: Iterable[node_pb2.Suspension]) -> SuspensionList:
    """The list as it came from the controller.

    A scope this version does not know raises ValueError: to ignore it would send what must wait.
    """
    stops: dict[tuple[str, str], _Stop] = {}
    for suspension in suspensions:
        scope = _SCOPES.get(suspension.scope)
        if scope is None:
            raise ValueError(f"suspension scope {suspension.scope} is unknown to this agent")
        until_ms = (
            suspension.until.ToMilliseconds() if suspension.HasField("until") else _FOREVER_MS
        )
        key = (scope, suspension.subject)
        if key not in stops or stops[key].until_ms < until_ms:
            stops[key] = _Stop(suspension.reason, until_ms)
    return SuspensionList(stops)
