"""Holds the controller's account of the day against the receivers' records. Pure.

The day ends with mail still waiting, and the fleet goes on while its 60,000 accounts are read. So
the records are read before and after: what waits must not have been there before, what is sent
must be there after, once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from lab.demo.compare import token
from lab.demo.facts import Account
from lab.receivers.records import KEPT, Record

_ENDED_BADLY = ("bounced", "expired", "uncertain", "suppressed", "cancelled")
_UNDER_WAY = ("dispatched", "queued")


def differences(
    submitted: Iterable[str],
    accounts: Mapping[str, Account],
    before: Iterable[Record],
    after: Iterable[Record],
) -> Iterator[str]:
    """Each message of which the two sides say different things, in a sentence.

    `before`, `after`: what receivers had before the accounts were read, and after.
    """
    earlier, kept = _copies(before), _copies(after)
    known = set(submitted)
    for message_id in sorted(known):
        times, account = kept[message_id], accounts.get(message_id)
        if account is None:
            yield f"{message_id}: accepted, and the controller does not know it"
        elif times > 1:
            yield f"{message_id}: receivers have it {times} times"
        elif account.state == "sent" and times == 0:
            yield f"{message_id}: the controller says sent, no receiver has it"
        elif account.state in _ENDED_BADLY:
            yield f"{message_id}: ended {account.state}: {account.reason}"
        elif earlier[message_id] and account.state not in ("sent", *_UNDER_WAY):
            yield f"{message_id}: {account.state}, and a receiver has it"
    for message_id in sorted(set(kept) - known):
        yield f"{message_id or '(no id)'}: receivers have it, nobody submitted it"


def _copies(records: Iterable[Record]) -> Counter[str]:
    return Counter(token(record.sender) for record in records if record.kind in KEPT)
