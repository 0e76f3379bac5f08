"""Who changes what receivers' words made of pairs does it alone, and nobody waits crosswise.

Four change breakers, slow-downs and stops: the recorder for many reports at a time, recovery, an
operator's release, and dispatch for what it tries. The first three take turns by one lock. Dispatch
does not wait for them: it takes only rows that nobody has (SKIP LOCKED), and finds the others in
its next cycle. What waits for dispatch has nothing yet that dispatch could want: the recorder holds
all breakers of its batch before it touches the ledger.
"""

from __future__ import annotations

from controller.store import Transaction


async def act_alone(tx: Transaction) -> None:
    """Waits until no other transaction changes pairs; holds until the end of this one."""
    await tx.lock("receivers-words")
