"""What a drain, or a decommissioning, would do to the fleet, and what stands against it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace

from controller.placement import LeftOut, NodeState, Plan, Policy, place
from controller.shards.fleet_now import FleetNow
from controller.shards.snapshot import build_snapshot, node_states


@dataclass(frozen=True)
class Foreseen:
    """The plan once the node drains, and what would find no place because of it.

    `is_last`: it may hold egresses now, and no other node may. `missing`: mailboxes of capacity, at
    least.
    """

    plan: Plan
    is_last: bool
    left_out: tuple[LeftOut, ...]
    missing: int
    # Mailboxes left out, by client.
    by_client: dict[str, int]


def foresee_drain(fleet: FleetNow, node_id: str, join_grace_s: float) -> Foreseen:
    """Compares the fleet as it is with the fleet in which this node drains."""
    before = place(build_snapshot(fleet, join_grace_s), Policy())
    drained = replace(
        fleet,
        nodes=tuple(
            replace(node, draining=True, cordoned=True) if node.id == node_id else node
            for node in fleet.nodes
        ),
    )
    plan = place(build_snapshot(drained, join_grace_s), Policy())
    already = {item.egress_id for item in before.left_out}
    left_out = tuple(item for item in plan.left_out if item.egress_id not in already)
    states = node_states(drained, join_grace_s)
    return Foreseen(
        plan=plan,
        is_last=NodeState.ACTIVE not in states.values()
        and node_states(fleet, join_grace_s)[node_id] is not NodeState.LEAVING,
        left_out=left_out,
        missing=plan.missing_capacity,
        by_client=mailboxes_by_client(fleet, left_out),
    )


def mailboxes_by_client(fleet: FleetNow, left_out: Collection[LeftOut]) -> dict[str, int]:
    """How many mailboxes of each client are among these, most first."""
    count: Counter[str] = Counter()
    for item in left_out:
        count[fleet.egress[item.egress_id].client_id] += item.mailboxes
    return dict(sorted(count.items(), key=lambda pair: (-pair[1], pair[0])))


def refusals(foreseen: Foreseen, node_id: str, *, force: bool, order: str = "drain") -> list[str]:
    """Why the node cannot be drained (or what else `order` says); empty: it can."""
    if foreseen.is_last:
        return [
            f"{node_id} is the last node that may hold egresses: without it nothing would send any "
            "more. Open another one first (postfleet node list shows them), or suspend the clients"
        ]
    if not foreseen.left_out or force:
        return []
    mailboxes = sum(item.mailboxes for item in foreseen.left_out)
    clients = ", ".join(f"{id} {count:,}" for id, count in foreseen.by_client.items())
    said = [
        f"{len(foreseen.left_out):,} egresses with {mailboxes:,} mailboxes would find no place "
        f"(mailboxes by client: {clients})"
    ]
    if foreseen.missing:
        said.append(
            f"{foreseen.missing:,} mailboxes of capacity are missing on the other nodes: add a "
            "node, or raise what they may hold in the inventory"
        )
    reasons = sorted({item.reason for item in foreseen.left_out})
    said += [f"why: {reason}" for reason in reasons[:3]]
    said.append(f"--force: {order} it all the same; their mail waits until there is room")
    return said
