"""Plays one scenario: makes the fleet whole, lets mail flow, breaks, waits for the end, judges."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping

from lab.chaos.catalogue import Scenario
from lab.chaos.errors import StepLate
from lab.chaos.facts import Score
from lab.chaos.ground import Ground, wait_until
from lab.chaos.load import Load
from lab.chaos.overlap import with_ends
from lab.chaos.scene import Scene
from lab.chaos.score import score
from lab.demo.compare import token
from lab.demo.errors import DemoError
from lab.demo.facts import Submitted
from lab.demo.gather import gather
from lab.demo.options import SAMPLES
from lab.demo.run import read_samples
from lab.demo.watch import FINAL
from lab.errors import FaultImpossible, LabError
from lab.receivers.records import KEPT, Record

_FLOWS_TIMEOUT_S = 60.0
# Receivers have so much of a scenario's mail before anything is broken.
_FLOWING = 10


class Player:
    """Plays scenarios on one ground and remembers all mail, so that the end can be judged too."""

    def __init__(self, ground: Ground, rounds: int, rate: int) -> None:
        self._ground, self._rounds, self._rate = ground, rounds, rate
        self._samples, self._senders = read_samples(SAMPLES), ground.senders
        self._next_recipient, self._began = 0, time.time()
        self.submitted: dict[str, Submitted] = {}

    def play(self, scenario: Scenario, say: Callable[[str], None]) -> Score:
        """Plays it and judges it; one before which the fleet does not come up does not hold."""
        try:
            self._ground.make_whole(say)
        except LabError as error:
            return Score(scenario.name, wrong=(f"the fleet is not whole before it: {error}",))
        scene = Scene(self._ground, self._rounds, say)
        began = time.time()
        load = Load(
            self._ground.fleet, self._samples, self._senders, self._rate, self._next_recipient
        )
        load.start()
        impossible = ""
        try:
            say("mail begins to flow")
            wait_until("mail flows", lambda: self._flowing(load.submitted), _FLOWS_TIMEOUT_S)
            scenario.play(scene)
        except FaultImpossible as error:
            impossible = str(error)
        except LabError as error:
            scene.wrong.append(f"{type(error).__name__}: {error}")
        except BaseException:
            load.abandon()
            raise
        try:
            submitted = load.stop()
        except LabError as error:
            scene.wrong.append(str(error))
            submitted = dict(load.submitted)
        self._next_recipient = load.first
        self.submitted |= submitted
        if impossible:
            return Score(scenario.name, impossible=impossible)
        self._settle(submitted, scene.may_wait_on, scenario.settle_s, say)
        return self._judge(
            scenario.name, submitted, scene, began, say, may_doubt=scenario.may_doubt
        )

    def afterwards(self, say: Callable[[str], None]) -> Score:
        """Judges all mail of all scenarios once more: what came late, or twice, shows here."""
        scene = Scene(self._ground, 0, say)
        try:
            self._ground.make_whole(say)
        except LabError as error:
            scene.wrong.append(f"the fleet is not whole: {error}")
        self._settle(self.submitted, (), 120.0, say)
        return self._judge("all at the end", self.submitted, scene, self._began, say)

    def _flowing(self, submitted: Mapping[str, Submitted]) -> bool:
        records = self._ground.lab.receivers.records()
        ours = dict(submitted)
        return sum(r.kind in KEPT and token(r.sender) in ours for r in records) >= _FLOWING

    def _settle(
        self,
        submitted: Mapping[str, Submitted],
        may_wait_on: Collection[str],
        within_s: float,
        say: Callable[[str], None],
    ) -> None:
        """Waits until all has its end; what has none by then is for the judge to name."""

        def settled() -> bool:
            try:
                accounts = self._ground.accounts()
            except DemoError:
                return False
            left = [
                account
                for id in submitted
                if (account := accounts.get(id)) is not None
                and account.state not in FINAL
                and account.node not in may_wait_on
            ]
            say(f"{len(left)} messages are under way")
            return not left

        try:
            wait_until("all mail has its end", settled, within_s)
        except StepLate:
            return

    def _judge(
        self,
        name: str,
        submitted: Mapping[str, Submitted],
        scene: Scene,
        began: float,
        say: Callable[[str], None],
        *,
        may_doubt: bool = True,
    ) -> Score:
        ground, until = self._ground, time.time()

        def concerns(record: Record) -> bool:
            """Mail of other scenarios is judged with them, and all of it at the end."""
            id = token(record.sender)
            return id in submitted or id not in self.submitted

        evidence = gather(
            ground.lab,
            ground.inventory,
            submitted,
            ground.accounts(),
            lambda done, total: say(f"{done} of {total} messages judged"),
            concerns=concerns,
            connections=with_ends(ground.lab.proxies.connections(), ground.witnessed_ends()),
        )
        return score(
            name,
            evidence,
            scene.faults,
            ground.caps(),
            began=began,
            until=until,
            may_wait_on=scene.may_wait_on,
            may_doubt=may_doubt,
            late=scene.late,
            wrong=scene.wrong,
        )
