"""The day, phase by phase: hand in all its mail, let the clock run, count."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from inventory.load import load
from lab.chaos.load import MOST_OCTETS, in_turn
from lab.day.account import differences
from lab.day.ground import LENGTH, MAILBOXES_PER_EGRESS, Ground
from lab.day.hidden import hidden_limits
from lab.day.options import Options
from lab.day.series import HOUR_S, Day, count
from lab.day.verdict import Finding, findings
from lab.demo.adapt import Letter, Sender, letters
from lab.demo.errors import DemoError
from lab.demo.fleet import Fleet
from lab.demo.mail_plan import PROVIDERS
from lab.demo.options import SAMPLES
from lab.demo.phases import Phases
from lab.demo.run import read_samples
from lab.demo.submit import submit

_POLL_S = 1.0
# So long nodes may take to report what they did when the day ended.
_SETTLE_S = 30.0
_UNDER_WAY = ("dispatched", "queued")


@dataclass(frozen=True)
class Outcome:
    """What came of the day. `states`: messages by state at its end."""

    day: Day
    findings: Sequence[Finding]
    submitted: int
    states: dict[str, int]
    differences: Sequence[str]

    @property
    def holds(self) -> bool:
        """Whether nothing was lost or doubled, and every hidden limit was found and kept."""
        return not self.differences and all(finding.holds for finding in self.findings)


def limits_of(options: Options) -> dict[str, int]:
    """The receivers' hidden limits, an hour and address."""
    return hidden_limits(MAILBOXES_PER_EGRESS, options.messages, LENGTH)


def live(ground: Ground, options: Options, phases: Phases) -> Outcome:
    """Submits everything, runs the clock to the end of the day, and counts."""
    planned = _letters(ground.inventory, options)
    with phases.phase(f"Submit the day's {len(planned):,} messages") as phase:
        submitted = submit(
            ground.fleet.channel,
            planned,
            secrets.token_hex(4),
            lambda done: phase.show("accepted", done, len(planned)),
        )
    began = time.time()
    ground.clock.start()
    with phases.phase(f"{LENGTH} hours at {options.speed} seconds a second") as phase:
        while (left_s := began + LENGTH * HOUR_S - ground.clock.now()) > 0:
            done = LENGTH * HOUR_S - left_s
            states = ground.fleet.summary().messages
            words = f"{states.get('sent', 0):,} sent, {states.get('queued', 0):,} in queues"
            phase.show("minutes of the day", int(done // 60), LENGTH * 60, words)
            if not ground.fleet.process.alive:
                raise DemoError(f"the controller ended:\n{ground.fleet.process.log_tail()}")
            time.sleep(_POLL_S)
        ground.clock.stop()
    with phases.phase("Hold the account against the receivers' records"):
        return _outcome(ground, options, began, set(submitted))


def _letters(inventory: Path, options: Options) -> list[Letter]:
    """Small mail from every mailbox in turn, spread evenly over four providers."""
    found = load(inventory).inventory
    senders = in_turn(
        (mailbox.egress, Sender(f"{mailbox.local_part}@{domain.name}", domain.client))
        for domain in found.domains
        for mailbox in domain.mailboxes
    )
    samples = [each for each in read_samples(SAMPLES) if len(each[1]) <= MOST_OCTETS]
    domains = [domain for domain, _, _ in PROVIDERS.values()]
    # Each round of the mailboxes begins with another provider: each of them writes to all.
    addresses = [
        f"reader.{number:06d}@{domains[(number + number // len(senders)) % len(domains)]}"
        for number in range(options.mailboxes * options.messages)
    ]
    return letters(samples, senders, addresses)


def _outcome(ground: Ground, options: Options, began: float, submitted: set[str]) -> Outcome:
    _settle(ground.fleet)
    before = list(ground.lab.receivers.records())
    accounts = ground.fleet.accounts()
    records = list(ground.lab.receivers.records())
    egresses = len(load(ground.inventory).inventory.egresses)
    day = count(records, ground.clock.seen_at, began, LENGTH, limits_of(options), egresses)
    return Outcome(
        day,
        tuple(findings(day)),
        len(submitted),
        dict(Counter(account.state for account in accounts.values())),
        tuple(differences(submitted, accounts, before, records)),
    )


def _settle(fleet: Fleet) -> None:
    """Returns when nodes report nothing new any more; the clock stands, so nothing becomes due."""
    until, before = time.monotonic() + _SETTLE_S, -1
    while time.monotonic() < until:
        sent = fleet.summary().messages.get("sent", 0)
        if sent == before:
            return
        before = sent
        time.sleep(3 * _POLL_S)
