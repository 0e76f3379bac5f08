"""What applies to an egress: state, suspensions, whose network does not lead to it, where it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from controller.fleet.errors import NotFoundError
from controller.planner.why import Fact
from controller.store import Row, Transaction, queries

_SQL = queries.load("why")
_UNREACHABLE = queries.load("unreachable")


async def why_egress(tx: Transaction, egress_id: str) -> list[Fact]:
    """Raises NotFoundError."""
    row = await tx.fetch_optional(_SQL["egress"], id=egress_id)
    if row is None:
        raise NotFoundError(f"there is no egress {egress_id!r}; `postfleet egress list` shows them")
    stops = await tx.fetch_all(
        _SQL["suspensions"],
        scopes=["client", "egress"],
        subjects=[row["client_id"], egress_id],
        now=await tx.now(),
    )
    marks = await tx.fetch_all(_UNREACHABLE["of_egress"], egress_id=egress_id)
    return list(facts(row, stops, marks))


def facts(row: Row, stops: Sequence[Row], marks: Sequence[Row]) -> Iterator[Fact]:
    """Of an egress (why.sql), its suspensions and the marks of nodes. Pure."""
    sends = row["state"] in ("active", "warming")
    yield Fact("state", f"{row['egress_id']} is {row['state']}", binds=not sends)
    for stop in stops:
        by_probe = stop["source"] == "probe"
        change = "a good probe" if by_probe else f"postfleet {stop['scope']} resume"
        yield Fact(
            f"{stop['scope']} suspension", f"by {stop['source']}: {stop['reason']}", binds=True,
            since=stop["since"], until=stop["until"], change=change,
        )  # fmt: skip
    for mark in marks:
        here = mark["node_id"] == row["node_id"]
        yield Fact(
            "out of reach", f"of {mark['node_id']}: {mark['detail']}", binds=here,
            since=mark["since"], until=mark["until"], evidence=f"probes of {mark['node_id']}",
            change="the network between that node and the proxy",
        )  # fmt: skip
    words = node_words(row)
    stuck = not words or not row["node_connected"] or row["assignment"] == "releasing"
    yield Fact("node", words or "it is on no node", binds=stuck, evidence="postfleet shard plan")
    if row["move_since"] is not None:
        goal = row["move_to"] or "nowhere yet"
        yield Fact("move", f"to {goal}: {row['move_reason']}", since=row["move_since"],
                   evidence="postfleet shard moves")  # fmt: skip
    if row["probed_at"] is not None:
        said = "good" if row["healthy"] else f"{row['stage']}: {row['detail']}"
        yield Fact("last probe", f"by {row['probed_by']}: {said}", since=row["probed_at"])


def node_words(row: Row) -> str:
    """Where an egress is (columns egress_id, node_id, assignment, node_connected); '': nowhere."""
    if not row["node_id"]:
        return ""
    words = f"{row['egress_id']} is on {row['node_id']}"
    if row["assignment"] == "releasing":
        words += ", which is giving it back"
    return words if row["node_connected"] else f"{words}, which is not connected"
