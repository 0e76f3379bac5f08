"""Turns evidence into the score of one scenario. Pure; the findings are those of the demo's judge.

Differences that a failure explains are put into columns of their own instead of being called wrong:
a message that waits for a node that is off, one that nobody can know about. Everything else that
the judge finds is wrong here as it is there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lab.chaos.caps import exceeded
from lab.chaos.facts import Caps, Fault, Score
from lab.chaos.overlap import overlap_ms, spans
from lab.chaos.resume import resume_s, resumed
from lab.demo.compare import compare, token
from lab.demo.facts import Account, Difference, Evidence
from lab.demo.watch import FINAL

LOST = frozenset({"lost", "unaccounted"})
# Here it is measured, and only from the beginning of the scenario on.
_MEASURED = frozenset({"two-senders"})
# smtp(8) killed between a receiver's word and its own line in the log: nobody learns of that try.
_EXPLAINED = frozenset({"deferral-unreported"})
# Where the account makes no claim, a receiver's record contradicts nothing.
_CLAIMLESS = frozenset({"contradicted", "refusal-unreported", "unfinished"})


def score(
    name: str,
    evidence: Evidence,
    faults: Iterable[Fault],
    caps: Caps,
    *,
    began: float,
    until: float,
    may_wait_on: Collection[str] = (),
    may_doubt: bool = True,
    late: Iterable[str] = (),
    wrong: Iterable[str] = (),
) -> Score:
    """The score of what was submitted in a scenario that lasted from `began` to `until`.

    `may_wait_on`: nodes that stay off, whose mail may wait for them. `may_doubt`: what was broken
    can cut a delivery, so that no evidence of it exists. `late`: steps that were not done in time;
    `wrong`: what went wrong before there was anything to judge.
    """
    differences = compare(evidence)
    accounts = {m: evidence.accounts[m] for m in evidence.submitted if m in evidence.accounts}
    waiting = [each for each in accounts.values() if each.state not in FINAL]
    uncertain = [each for each in accounts.values() if each.state == "uncertain"]
    reasons = tuple(f"{each.message_id} on {each.node}: {each.reason}" for each in uncertain)
    records = [sighting.record for sighting in evidence.sightings]
    here = [span for span in spans(evidence.connections, until) if span.ended >= began]
    silent = {
        exit_: (took_s, fault)
        for fault in faults
        for exit_, took_s in resumed(fault, evidence.connections, records).items()
    }
    both_ms = overlap_ms(here)
    over = exceeded(caps, records, evidence.mailbox_egress)
    return Score(
        name=name,
        accepted=len(evidence.submitted),
        sent=sum(each.state == "sent" for each in accounts.values()),
        bounced=sum(each.state in ("bounced", "expired") for each in accounts.values()),
        waiting=len(waiting),
        uncertain=len(uncertain),
        lost=sum(each.what in LOST for each in differences),
        duplicates=len(records) - len({token(record.sender) for record in records}),
        overlap_ms=both_ms,
        caps_exceeded=len(over),
        resume_s=resume_s(took_s for took_s, _ in silent.values()),
        elapsed_s=until - began,
        reasons=reasons,
        late=(*late, *_too_late(silent)),
        wrong=(
            *wrong,
            *_never(silent),
            *([f"two nodes had one proxy open for {both_ms} ms"] if both_ms else []),
            *(_waits(each) for each in waiting if each.node not in may_wait_on),
            *_wrong(differences, accounts),
            *over,
            *(f"uncertain, although nothing cut a delivery: {r}" for r in reasons if not may_doubt),
        ),
    )


def _never(silent: Mapping[str, tuple[float | None, Fault]]) -> Iterable[str]:
    for exit_, (took_s, fault) in silent.items():
        if took_s is None:
            yield f"no mail came through {exit_} from another node than {fault.client}"


def _too_late(silent: Mapping[str, tuple[float | None, Fault]]) -> Iterable[str]:
    for exit_, (took_s, fault) in silent.items():
        if took_s is not None and took_s > fault.within_s:
            yield (
                f"mail came through {exit_} from another node after {took_s:.1f} s; "
                f"{fault.within_s:.0f} s are allowed"
            )


def _waits(account: Account) -> str:
    where = f" on {account.node}" if account.node else ""
    return f"waiting: {account.message_id} {account.state}{where}: {account.reason}"


def _wrong(differences: Iterable[Difference], accounts: Mapping[str, Account]) -> Iterable[str]:
    for each in differences:
        account = accounts.get(each.message_id)
        claims = account is None or account.state in ("sent", "bounced", "expired")
        if each.what in _EXPLAINED | _MEASURED or (each.what in _CLAIMLESS and not claims):
            continue
        yield f"{each.what}: {each.message_id} {each.detail}"
