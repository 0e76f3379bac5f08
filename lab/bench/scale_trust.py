"""What one simulated agent knows of its lease: how long grants take, and when it had none. Pure.

A lapse is an instant at which the node may open nothing more, because the grant that would have
carried it on had not reached it. It counts when it happens, whether or not a grant ever follows.
"""

from __future__ import annotations


class Trust:
    """Readings of one monotonic clock, in seconds, in the order in which things happen."""

    def __init__(self) -> None:
        self._sent_s: dict[int, float] = {}
        self._until_s: float | None = None
        self._lapsed = False
        self.lapses = 0
        # Seconds from each heartbeat until a grant for it, or for a later one, arrived.
        self.latencies_s: list[float] = []

    def asked(self, seq: int, now_s: float) -> None:
        """A heartbeat was sent."""
        self._sent_s[seq] = now_s

    def granted(self, seq: int, for_s: float, now_s: float) -> None:
        """A grant arrived that is good for `for_s` from when heartbeat `seq` was sent.

        The last heartbeat may be answered again; a repeated answer adds nothing.
        """
        self.look(now_s)
        sent_s = self._sent_s.get(seq)
        if sent_s is None:
            return
        for each in [each for each in self._sent_s if each <= seq]:
            self.latencies_s.append(now_s - self._sent_s.pop(each))
        self._until_s = max(self._until_s or 0.0, sent_s + for_s)
        # One that comes too late to be trusted at all ends no lapse.
        self._lapsed = now_s >= self._until_s

    def look(self, now_s: float) -> None:
        """Notices a lapse; to be called often."""
        if self._until_s is not None and not self._lapsed and now_s >= self._until_s:
            self._lapsed = True
            self.lapses += 1

    def waiting_s(self, now_s: float) -> list[float]:
        """The ages of heartbeats that no grant has answered yet."""
        return [now_s - sent_s for sent_s in self._sent_s.values()]

    def forget_latencies(self) -> None:
        """What was before is not counted; lapses neither."""
        self.latencies_s.clear()
        self.lapses = 0
