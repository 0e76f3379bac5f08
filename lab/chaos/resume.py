"""How long an egress was silent: from a fault until mail comes through it from another node. Pure.

Receivers see the exit address only; which node was behind it the proxies' log says.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable

from lab.chaos.facts import Fault
from lab.demo.witness import SMTP_PORTS
from lab.proxies_log import Connection
from lab.receivers.records import KEPT, Record


def resumed(
    fault: Fault, connections: Iterable[Connection], records: Iterable[Record]
) -> dict[str, float | None]:
    """Seconds from the fault to the first message from another node, by exit address.

    None: none came.
    """
    opened: dict[tuple[str, str], list[tuple[float, str]]] = defaultdict(list)
    for each in connections:
        if each.event == "open" and each.target_port in SMTP_PORTS:
            opened[each.exit, each.target].append((each.at, each.client))
    found: dict[str, float | None] = dict.fromkeys(sorted(fault.exits))
    for record in sorted(records, key=lambda record: record.at):
        concerned = record.source in found and found[record.source] is None
        if not concerned or record.kind not in KEPT or record.at < fault.at:
            continue
        by = opened[record.source, record.target]
        last = bisect_right(by, (record.at, "\uffff")) - 1
        if last >= 0 and by[last][1] != fault.client:
            found[record.source] = record.at - fault.at
    return found


def resume_s(found: Iterable[float | None]) -> float | None:
    """The slowest of them; infinite where mail never came, None where nothing was concerned."""
    values = [float("inf") if value is None else value for value in found]
    return max(values, default=None)
