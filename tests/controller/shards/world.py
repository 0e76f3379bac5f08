"""A fleet in which steps are done and nodes do their part, one thing after another, by dice."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from controller.placement import NodeState, Plan, Policy, Snapshot, place
from controller.shards.fleet_now import EgressNow, FleetNow, MoveNow, NodeNow, Order
from controller.shards.snapshot import build_snapshot, node_states
from controller.shards.steps import Steps, next_steps

GRACE_S = 600.0
_STATES = {
    NodeState.ACTIVE: {},
    NodeState.CORDONED: {"cordoned": True},
    NodeState.LEAVING: {"cordoned": True, "draining": True},
}


def fleet_of(snapshot: Snapshot, limit: int, *, rebalance: bool = False) -> FleetNow:
    """All nodes in a term, all placed egresses granted and running."""
    return FleetNow(
        nodes=tuple(
            replace(
                NodeNow(
                    node.id, node.capacity, node.failure_domain, node.region,
                    cordoned=False, draining=False, decommissioned=False, fenced=False,
                    held=True, is_new=False, age_s=9999,
                ),
                **_STATES[node.state],
            )
            for node in snapshot.nodes
        ),
        egresses=tuple(
            EgressNow(
                e.id, e.client_id, e.mailboxes, e.priority, e.only_node, e.region,
                e.node_id, in_term=e.node_id is not None, releasing=False,
            )
            for e in snapshot.egresses
        ),
        order=Order("operator/test", "", None) if rebalance else None,
        moves_in_flight=limit,
    )  # fmt: skip


@dataclass
class World:
    """`asked` counts the mailboxes that were asked back: how much was disturbed."""

    fleet: FleetNow
    asked: int = 0
    plan: Plan | None = None

    def decide(self) -> tuple[Plan, Steps]:
        policy = Policy(rebalance=self.fleet.order is not None)
        self.plan = plan = place(build_snapshot(self.fleet, GRACE_S), policy, self.plan)
        states = node_states(self.fleet, GRACE_S)
        return plan, next_steps(self.fleet, plan, states, self.fleet.limit)

    def carry_out(self, steps: Steps) -> None:
        """As the statements of shards.sql do."""
        egresses = dict(self.fleet.egress)
        for egress_id in steps.arrived:
            egresses[egress_id] = replace(egresses[egress_id], move=None)
        for step in steps.withdraw:
            egresses[step.egress_id] = replace(egresses[step.egress_id], node_id=None)
        for step in steps.ask_back:
            move = MoveNow(step.node_id, step.goal, step.reason, runs=False)
            egresses[step.egress_id] = replace(egresses[step.egress_id], releasing=True, move=move)
            self.asked += step.mailboxes
        for egress_id, goal in steps.retarget:
            egress = egresses[egress_id]
            assert egress.move is not None
            egresses[egress_id] = replace(egress, move=replace(egress.move, to_node=goal))
        for step in steps.assign:
            egress = egresses[step.egress_id]
            assert egress.node_id is None
            egresses[egress.id] = replace(egress, node_id=step.node_id, in_term=False)
        self.fleet = replace(self.fleet, egresses=tuple(egresses.values()))

    def nodes_do_something(self, dice: random.Random) -> None:
        """Each node may give back, use and run what it should, or not yet."""
        self.fleet = replace(
            self.fleet, egresses=tuple(self._later(e, dice) for e in self.fleet.egresses)
        )

    def _later(self, egress: EgressNow, dice: random.Random) -> EgressNow:
        if egress.node_id is None or dice.random() < 0.4:
            return egress
        if egress.releasing:
            return replace(egress, node_id=None, releasing=False, in_term=False)
        if not egress.in_term:
            return replace(egress, in_term=True)
        if egress.move is not None:
            return replace(egress, move=replace(egress.move, runs=True))
        return egress

    def close(self, node_id: str) -> None:
        self.fleet = replace(
            self.fleet,
            nodes=tuple(
                replace(node, cordoned=True, draining=True) if node.id == node_id else node
                for node in self.fleet.nodes
            ),
        )

    def load(self) -> dict[str, int]:
        load = {node.id: 0 for node in self.fleet.nodes}
        for egress in self.fleet.egresses:
            if egress.node_id is not None:
                load[egress.node_id] += egress.mailboxes
        return load

    def is_left_out(self, egress_id: str) -> bool:
        """Whether it was asked back, or is, and there was no node with room for it."""
        move = self.fleet.egress[egress_id].move
        return move is not None and move.to_node is None

    def under_way(self) -> int:
        """Moves that were begun and are not over, but for egresses that no node has room for."""
        return sum(
            egress.move is not None
            and (egress.node_id is not None or egress.move.to_node is not None)
            for egress in self.fleet.egresses
        )

    def stranded(self) -> int:
        """Those of them that are in no node's hands."""
        return sum(
            egress.move is not None and egress.move.to_node is not None and egress.node_id is None
            for egress in self.fleet.egresses
        )
