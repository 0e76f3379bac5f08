"""Health of a simulated fleet: the controller's verdicts, and what follows from them.

Decided by `controller.health.judge`. What `controller.health.act` writes into the database is done
here: stops, slower limits, warm-ups that stay, step back or begin anew. The controller judges
within seconds of what it hears, here each morning judges the day before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from controller.health.bands import Band, Standing
from controller.health.beta import Beta
from controller.health.counts import Tally, total
from controller.health.judge import SCOPES, Evidence, Verdict, Votes, judge
from controller.health.rates import SIGNALS, thresholds
from controller.planner.boxes import health_of
from controller.planner.warm_up import Signal
from controller.simulation.fleet import VirtualFleet
from controller.simulation.tallies import Tallies
from inventory.health import Health

Subject = tuple[str, str]
"""Scope (mailbox, egress, domain) and which."""


class VirtualHealth:
    """`on_stop` hears of each stop, with its end at the earliest and why; `on_return` of what may
    send again."""

    def __init__(
        self,
        fleet: VirtualFleet,
        settings: Health,
        on_stop: Callable[[Subject, datetime, datetime, str], None],
        on_return: Callable[[Subject, datetime], None],
    ) -> None:
        senders = {a: box.sender for boxes in fleet.boxes.values() for a, box in boxes.items()}
        self._fleet, self._settings = fleet, settings
        self._on_stop, self._on_return = on_stop, on_return
        self.tallies = Tallies(senders)
        self._standings: dict[Subject, Standing] = {}
        self._members: dict[Subject, set[Subject]] = defaultdict(set)
        for address, sender in senders.items():
            egress = ("egress", sender.egress_id)
            self._members[egress].add(("mailbox", address))
            self._members["domain", sender.domain].add(egress)

    @property
    def slowed(self) -> Iterable[Subject]:
        """What sends less for now."""
        return [key for key, each in self._standings.items() if each.band is Band.SLOWED]

    def judge(self, now: datetime) -> None:
        """The morning after a day."""
        yesterday = (now - timedelta(hours=1)).astimezone(self._fleet.zone).date()
        due = self.tallies.close(yesterday) | set(self._standings)
        for scope in SCOPES:
            due |= {key for key, of in self._members.items() if key[0] == scope and of & due}
            for key in sorted(each for each in due if each[0] == scope):
                self._judge(key, now, yesterday)
        for key, standing in list(self._standings.items()):
            self._fleet.signal(key, _signal(standing.band))
            if standing.band is Band.GOOD and standing.counted_from is None and not standing.stops:
                del self._standings[key]

    def _judge(self, key: Subject, now: datetime, yesterday: date) -> None:
        was = self._standings.get(key) or Standing(Band.GOOD, now)
        since = was.counted_from.date() if was.counted_from else None
        counts, by_provider = self.tallies.counts(key, yesterday, since)
        evidence = Evidence(counts, by_provider, self._votes(key))
        if was.band is Band.GOOD and not self._may_call(evidence):
            return
        self._follow(key, was, judge(now, was, evidence, self._settings), now)

    def _follow(self, key: Subject, was: Standing, verdict: Verdict, now: datetime) -> None:
        standing = self._standings[key] = verdict.standing
        if key[0] == "mailbox":
            self._fleet.set_health(key[1], health_of(verdict.score.value))
        if standing is was:
            return
        if not standing.band.sends:
            until = standing.until or now
            self._on_stop(key, now, until, f"{standing.band}: {verdict.calls.words()}")
        elif not was.band.sends:
            self._on_return(key, now)
            self._fleet.begin_anew(key, now)
        if standing.band is Band.SLOWED and was.band < Band.SLOWED:
            self._fleet.signal(key, Signal.BACK)

    def _votes(self, key: Subject) -> Votes | None:
        if key[0] == "mailbox":
            return None
        members = self._members[key]
        stopped = sorted(
            name for scope, name in members
            if (each := self._standings.get((scope, name))) is not None and not each.band.sends
        )  # fmt: skip
        return Votes.on(key[0], len(members), stopped)

    def _may_call(self, evidence: Evidence) -> bool:
        """False: nothing of it calls for more than GOOD, which most of most days says; quick."""
        if evidence.votes is not None and evidence.votes.agree(self._settings):
            return True
        tallies = [evidence.counts, *evidence.by_provider.values()]
        sure = self._settings.confidence_percent / 100
        for signal in SIGNALS:
            limits = thresholds(signal, self._settings)
            prior = Beta.prior(limits.usual / 100, signal.weight)
            for window in signal.windows:
                for each in tallies:
                    tally: Tally = each.get(window, {})
                    bad = total(tally, signal.bad)
                    if not bad:
                        continue
                    of = max(bad, total(tally, signal.of))
                    enough = of >= self._settings.min_messages
                    if enough and prior.after(bad, of).is_above(limits.watch / 100, sure):
                        return True
        return False


def _signal(band: Band) -> Signal:
    return Signal.FREEZE if band in (Band.WATCH, Band.SLOWED) else Signal.NONE
