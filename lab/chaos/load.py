"""Steady load: a thread that submits from every mailbox in turn, whatever becomes of the fleet.

What was submitted and not answered is submitted again under the same keys until it is answered, as
a careful sender does; so what is on the list is what the controller accepted, no more and no less.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from lab.chaos.errors import ChaosError
from lab.demo.adapt import Letter, Sender, letters
from lab.demo.errors import DemoError, SubmissionBroken
from lab.demo.facts import Submitted
from lab.demo.fleet import Fleet
from lab.demo.mail_plan import recipients
from lab.demo.submit import submit

_BATCH_EVERY_S = 0.5
_CALL_TIMEOUT_S = 5.0
_PAUSE_S = 0.3
_STOP_TIMEOUT_S = 120.0
# Small mail: what is measured here is not octets.
MOST_OCTETS = 12_000


class Load:
    """Submits `per_s` messages a second from `start` to `stop`. `first` numbers the recipients."""

    def __init__(
        self,
        fleet: Fleet,
        samples: Sequence[tuple[str, bytes]],
        senders: Sequence[Sender],
        per_s: float,
        first: int,
    ) -> None:
        self._fleet = fleet
        small = [(name, content) for name, content in samples if len(content) <= MOST_OCTETS]
        self._letters = _endless(small, senders, first)
        self._size = max(1, round(per_s * _BATCH_EVERY_S))
        self._stopped = threading.Event()
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)
        self._failure = ""
        self.first = first
        self.submitted: dict[str, Submitted] = {}

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def stop(self) -> dict[str, Submitted]:
        """Ends after the last batch was answered; gives all accepted messages by id.

        Raises ChaosError when one was refused or is not answered.
        """
        self._stopped.set()
        self._thread.join(_STOP_TIMEOUT_S)
        if self._thread.is_alive():
            self._failure = f"the last batch is not answered after {_STOP_TIMEOUT_S:.0f} s"
        if self._failure:
            raise ChaosError(f"load: {self._failure}")
        return self.submitted

    def abandon(self) -> None:
        """Ends at once, whatever was answered: the lab is going away."""
        self._abandoned.set()
        self._stopped.set()

    def _run(self) -> None:
        next_at = time.monotonic()
        while not self._stopped.wait(max(0.0, next_at - time.monotonic())):
            next_at = max(next_at + _BATCH_EVERY_S, time.monotonic())
            batch = [next(self._letters) for _ in range(self._size)]
            try:
                self.submitted |= self._submit(batch)
            except DemoError as error:
                self._failure = str(error)
                return
            self.first += len(batch)

    def _submit(self, batch: Sequence[Letter]) -> dict[str, Submitted]:
        run, start = secrets.token_hex(8), time.time()
        while not self._abandoned.is_set():
            try:
                return submit(
                    self._fleet.channel, batch, run, start=start, timeout_s=_CALL_TIMEOUT_S
                )
            except SubmissionBroken:
                time.sleep(_PAUSE_S)
        return {}


def in_turn(senders: Iterable[tuple[str, Sender]]) -> list[Sender]:
    """Senders, each with its egress, such that egresses take turns.

    So mail for each egress comes steadily, and how long one is silent is not a matter of whose turn
    it is. Each round begins with the next one: what becomes of a recipient's mail goes by its
    number, and else all mail of an egress would be for such as are greylisted.
    """
    by_egress: dict[str, list[Sender]] = defaultdict(list)
    for egress, sender in senders:
        by_egress[egress].append(sender)
    found = []
    for number, each in enumerate(zip_longest(*by_egress.values())):
        begin = number % len(each)
        found += [sender for sender in each[begin:] + each[:begin] if sender is not None]
    return found


def _endless(
    samples: Sequence[tuple[str, bytes]], senders: Sequence[Sender], first: int
) -> Iterator[Letter]:
    """Rounds of two letters from each mailbox; the second time the controller may choose."""
    while True:
        count = 2 * len(senders)
        yield from letters(samples, senders, recipients(count, first))
        first += count
