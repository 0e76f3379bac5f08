"""Fleets for placement tests: generated, changed, and checked against the hard constraints."""

from __future__ import annotations

import random
from dataclasses import replace

from controller.placement import (
    EgressView,
    Move,
    NodeState,
    NodeView,
    Plan,
    Policy,
    Snapshot,
    place,
)


def apply(snapshot: Snapshot, moves: tuple[Move, ...]) -> Snapshot:
    """The fleet after these moves."""
    to = {move.egress_id: move.to_node for move in moves}
    return replace(
        snapshot,
        egresses=tuple(
            replace(e, node_id=to[e.id]) if e.id in to else e for e in snapshot.egresses
        ),
    )


def generated(
    dice: random.Random, nodes: int, egresses: int, clients: int, fill: float
) -> Snapshot:
    """A fleet that `place` filled to about `fill` of its capacity."""
    sizes = [dice.choice([8, 8, 8, 8, dice.randint(1, 10)]) for _ in range(egresses)]
    capacity = max(12, round(sum(sizes) / nodes / fill))
    empty = Snapshot(
        nodes=tuple(
            NodeView(f"n{i:03}", capacity, NodeState.ACTIVE, f"fd{i % 4}", f"r{i % 3}")
            for i in range(nodes)
        ),
        egresses=tuple(
            EgressView(f"e{i:05}", f"c{dice.randrange(clients)}", size, None, None, f"r{i % 3}")
            for i, size in enumerate(sizes)
        ),
    )
    return apply(empty, place(empty, Policy()).moves)


def changed(dice: random.Random, snapshot: Snapshot) -> Snapshot:
    """Something happens to a fleet: a node comes, goes, drains, or has another capacity."""
    nodes = list(snapshot.nodes)
    index = dice.randrange(len(nodes))
    kind = dice.randrange(5)
    if kind == 0:
        nodes.append(NodeView("new", nodes[0].capacity, NodeState.ACTIVE, "fd9"))
    elif kind == 1:
        nodes[index] = replace(nodes[index], state=NodeState.LEAVING)
    elif kind == 2:
        nodes[index] = replace(nodes[index], state=NodeState.CORDONED)
    elif kind == 3:
        capacity = max(1, round(nodes[index].capacity * dice.uniform(0.5, 1.2)))
        nodes[index] = replace(nodes[index], capacity=capacity)
    else:
        nodes = [replace(n, capacity=max(10, n.capacity - dice.randrange(10))) for n in nodes]
    return replace(snapshot, nodes=tuple(nodes))


def cut(dice: random.Random, snapshot: Snapshot) -> Snapshot:
    """Some egresses are out of reach: of their own node, of others, of a node that reaches none."""
    ids = [node.id for node in snapshot.nodes]
    alone = dice.choice([None, *ids])
    share = dice.choice([0.02, 0.1, 0.3])

    def barred(egress: EgressView) -> frozenset[str]:
        if alone is not None and egress.node_id == alone:
            return frozenset([alone])
        if dice.random() >= share:
            return frozenset()
        home = [egress.node_id] if egress.node_id in ids and dice.random() < 0.7 else []
        return frozenset([*home, *dice.sample(ids, dice.randint(0, min(2, len(ids))))])

    return replace(
        snapshot,
        egresses=tuple(replace(e, unreachable_from=barred(e)) for e in snapshot.egresses),
    )


def violations(snapshot: Snapshot, plan: Plan) -> list[str]:
    """Which hard constraints the result of a plan breaks."""
    after = apply(snapshot, plan.moves)
    nodes = {node.id: node for node in after.nodes}
    before = {egress.id: egress.node_id for egress in snapshot.egresses}
    left_out = {item.egress_id: item.stays_on for item in plan.left_out}
    load = dict.fromkeys(nodes, 0)
    found = []
    for egress in after.egresses:
        if egress.node_id != left_out.get(egress.id, egress.node_id):
            found.append(f"{egress.id} is placed and left out")
        if egress.node_id is None and egress.id not in left_out:
            found.append(f"{egress.id} is neither placed nor left out")
        if egress.node_id is None:
            continue
        load[egress.node_id] += egress.mailboxes
        node = nodes[egress.node_id]
        if node.state is NodeState.LEAVING:
            found.append(f"{egress.id} is on {node.id}, which leaves")
        if node.state is NodeState.CORDONED and before[egress.id] != node.id:
            found.append(f"{egress.id} came to {node.id}, which is cordoned")
        if node.id in egress.unreachable_from:
            if before[egress.id] != node.id:
                found.append(f"{egress.id} came to {node.id}, which cannot reach it")
            if egress.id not in left_out:
                found.append(f"{egress.id} is on {node.id}, which cannot reach it")
        if egress.only_node not in (None, node.id):
            found.append(f"{egress.id} is not where it is bound to")
    found += [f"{id} is over capacity" for id in nodes if load[id] > nodes[id].capacity]
    if plan.load_after != load:
        found.append("load_after is wrong")
    return found
