"""Which lanes of a client are open now or within the horizon; reads them from the database.

A lane whose campaign does not run, whose windows are closed, or whose burst of the hour is used up
is left out, so that what waits in it costs the planner nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from controller.planner import ledger
from controller.planner.assignment import Moment
from controller.planner.calendar import HOUR, hour_of
from controller.planner.lanes import Lane, plain_lane, warm_up_lane
from controller.planner.limits import UNLIMITED
from controller.planner.settings import week_of
from controller.store import Row, Transaction, queries

SQL = queries.load("planner")


async def open_lanes(tx: Transaction, client_id: str, moment: Moment) -> dict[int, Lane]:
    """By id, those of single messages and of warm-up mail among them."""
    rows = await tx.fetch_all(SQL["lanes"], client_id=client_id)
    lanes = [lane for row in rows if _opens(lane := lane_of(row, client_id), moment)]
    hours = [hour_of(moment.now)]
    while hours[-1] + HOUR <= moment.until:
        hours.append(hours[-1] + HOUR)
    bursts = {lane.account(hour) for lane in lanes if lane.burst < UNLIMITED for hour in hours}
    used = await ledger.used(tx, bursts) if bursts else {}
    left = [
        lane for lane in lanes
        if any(used.get(lane.account(hour), 0) < lane.burst for hour in hours)
    ]  # fmt: skip
    return {lane.id: lane for lane in (plain_lane(client_id), warm_up_lane(client_id), *left)}


def lane_of(row: Row, client_id: str) -> Lane:
    """A lane from a row of `lanes`."""
    windows = tuple(row["windows"])
    return Lane(
        id=row["id"],
        subject=f"{client_id}/{row['campaign_id']}",
        priority=row["priority"],
        follow_up=row["follow_up"],
        week=week_of(row["time_zone"], windows) if windows else None,
        # A follow-up comes from the mailbox that began, also where the pool is another one since.
        domains=None if row["follow_up"] or row["domains"] is None else frozenset(row["domains"]),
        mailboxes=frozenset(row["mailboxes"] or ()),
        burst=UNLIMITED if row["burst_per_hour"] is None else row["burst_per_hour"],
    )


def pools(lanes: Iterable[Lane]) -> Iterator[tuple[list[str] | None, list[str]]]:
    """(domains, mailboxes) of which mailboxes are wanted: all (None), and those of the pools.

    Apart, so that no number of mailboxes outside the pools keeps those in them from being read.
    """
    wanted = list(lanes)
    if any(not lane.has_pool for lane in wanted):
        yield None, []
    pooled = [lane for lane in wanted if lane.has_pool]
    if pooled:
        domains = {each for lane in pooled for each in lane.domains or ()}
        mailboxes = {each for lane in pooled for each in lane.mailboxes}
        yield sorted(domains), sorted(mailboxes)


def _opens(lane: Lane, moment: Moment) -> bool:
    opens = lane.next_open(moment.now)
    return opens is not None and opens <= moment.until
