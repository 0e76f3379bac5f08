"""Whether the fleet survives the loss of any one node, and of any failure domain. Pure.

A loss is survived when everything that the lost nodes hold finds a place on the others as they are
then, whether or not their networks lead to its proxies today: that is not a matter of capacity.
Counting decides most of them: too little room is no, room for so many of the largest egress is yes;
what lies between is asked of `place`. What is bound to a lost node (an address of it) sends from
nowhere else, so its loss is not survived, and no capacity helps.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from controller.placement import EgressView, NodeState, NodeView, Policy, Snapshot, place

_MOST_ADDED = 10_000


@dataclass(frozen=True)
class Loss:
    """What happens when `nodes` are gone; sizes in mailboxes.

    `kind`: node, failure-domain, or now (nothing is lost). `missing`: capacity, at least; 0 where
    everything but `bound` finds a place. `by_client`: what would not send, most first.
    """

    kind: str
    id: str
    nodes: tuple[str, ...]
    load: int
    bound: int
    missing: int
    by_client: Mapping[str, int]

    @property
    def is_survived(self) -> bool:
        return not self.missing and not self.bound


@dataclass(frozen=True)
class Addition:
    """So many nodes of this capacity, outside the failure domains there are, would do."""

    nodes: int
    capacity: int


@dataclass(frozen=True)
class Survival:
    """All losses, the worst of each kind first; what to add (None: nothing helps, or is needed)."""

    losses: tuple[Loss, ...]
    addition: Addition | None

    @property
    def survives(self) -> bool:
        return all(loss.is_survived for loss in self.losses)


def survey(snapshot: Snapshot) -> Survival:
    """Every loss that is not the whole fleet's, and what would make all of them survived."""
    settled = _settled(snapshot)
    losses = sorted(
        (_lose(settled, kind, id, nodes) for kind, id, nodes in _groups(settled)),
        key=lambda loss: (loss.kind != "now", loss.kind, -loss.missing, -loss.bound,
                          -loss.load, loss.id),
    )  # fmt: skip
    return Survival(tuple(losses), _addition(settled, losses))


def _settled(snapshot: Snapshot) -> Snapshot:
    """The fleet when all that placement wants now is done."""
    to = {move.egress_id: move.to_node for move in place(snapshot, Policy()).moves}
    return replace(
        snapshot,
        egresses=tuple(
            replace(e, node_id=to.get(e.id, e.node_id), unreachable_from=frozenset())
            for e in snapshot.egresses
        ),
    )


def _groups(snapshot: Snapshot) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """What may be lost together. A domain of one node is that node; one of all nodes is all."""
    yield "now", "", ()
    holding = {egress.node_id for egress in snapshot.egresses}
    domains: dict[str, list[str]] = {}
    for node in snapshot.nodes:
        if node.state is NodeState.ACTIVE or node.id in holding:
            domains.setdefault(node.failure_domain, []).append(node.id)
            yield "node", node.id, (node.id,)
    for name, nodes in domains.items():
        yield "failure-domain", name, tuple(nodes)


def _lose(snapshot: Snapshot, kind: str, id: str, nodes: tuple[str, ...]) -> Loss:
    lost = set(nodes)
    displaced = [e for e in snapshot.egresses if e.node_id in lost or e.node_id is None]
    bound = [e for e in displaced if e.only_node is not None]
    loose = [e for e in displaced if e.only_node is None]
    free = _free(snapshot, lost)
    missing, left = 0, bound
    if not _surely_fits(loose, free):
        missing, nowhere = _place(snapshot, lost)
        left = [e for e in displaced if e.id in nowhere or e.only_node is not None]
    count: Counter[str] = Counter()
    for egress in left:
        count[egress.client_id] += egress.mailboxes
    return Loss(
        kind=kind,
        id=id,
        nodes=nodes,
        load=sum(e.mailboxes for e in displaced),
        bound=sum(e.mailboxes for e in bound),
        missing=missing,
        by_client=dict(sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))),
    )


def _free(snapshot: Snapshot, lost: set[str]) -> list[int]:
    load: Counter[str] = Counter()
    for egress in snapshot.egresses:
        if egress.node_id is not None:
            load[egress.node_id] += egress.mailboxes
    return [
        max(0, node.capacity - load[node.id])
        for node in snapshot.nodes
        if node.state is NodeState.ACTIVE and node.id not in lost
    ]


def _surely_fits(egresses: Iterable[EgressView], free: Iterable[int]) -> bool:
    sizes = [egress.mailboxes for egress in egresses]
    largest = max(sizes, default=0)
    return not largest or len(sizes) <= sum(hole // largest for hole in free)


def _place(snapshot: Snapshot, lost: set[str]) -> tuple[int, set[str]]:
    """Missing capacity and what has no place once these nodes are gone."""
    gone = replace(
        snapshot,
        nodes=tuple(
            replace(node, state=NodeState.LEAVING) if node.id in lost else node
            for node in snapshot.nodes
        ),
        egresses=tuple(
            replace(e, node_id=None) if e.node_id in lost else e for e in snapshot.egresses
        ),
    )
    plan = place(gone, Policy())
    return plan.missing_capacity, {item.egress_id for item in plan.left_out}


def _addition(snapshot: Snapshot, losses: Iterable[Loss]) -> Addition | None:
    """Tries what counting says, and more until every loss is survived as far as room can help."""
    short = [loss for loss in losses if loss.missing]
    active = [node for node in snapshot.nodes if node.state is NodeState.ACTIVE]
    if not short or not active:
        return None
    # The size of node that there is most of; of equals, the larger.
    capacity = max(Counter(n.capacity for n in active).items(), key=lambda x: (x[1], x[0]))[0]
    count = math.ceil(max(loss.missing for loss in short) / capacity)
    while count <= _MOST_ADDED:
        more = replace(snapshot, nodes=(*snapshot.nodes, *_new(count, capacity)))
        if all(not _lose(more, loss.kind, loss.id, loss.nodes).missing for loss in short):
            return Addition(count, capacity)
        count += max(1, count // 20)
    return None


def _new(count: int, capacity: int) -> Iterator[NodeView]:
    for number in range(count):
        yield NodeView(f"+{number:05}", capacity, NodeState.ACTIVE, "+")
