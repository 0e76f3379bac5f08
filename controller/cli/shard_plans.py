"""What the commands print of a plan: moves and why, load before and after, what is left out."""

from __future__ import annotations

from collections import Counter

from postfleet.v1 import fleet_pb2

from controller.cli.output import console, number, print_table, state

# So many egresses that no node reaches are named one by one.
_MOST_STUCK = 10
_WHY = {
    "no-node": "no node has it",
    "unreachable": "its node's network does not lead to its proxy",
    "leaving": "its node drains, is out of service or lost",
    "over-capacity": "its node has more than its capacity",
    "bound": "it is an address of that node",
    "make-room": "to make room for another",
    "rebalance": "to even the load out",
    "no-room": "no node has room for it",
    "operator": "an operator wants it",
}


def why(reason: str) -> str:
    """A move's reason in words."""
    return _WHY.get(reason, reason)


def print_plan(plan: fleet_pb2.ShardPlan) -> None:
    """All of it, for people."""
    if plan.moves:
        print_table(
            ("egress", "client", "from", "to", "#mailboxes", "why"),
            [
                (each.egress_id, each.client_id, each.from_node or "none", each.to_node or "none",
                 number(each.mailboxes), why(each.reason))
                for each in plan.moves
            ],
        )  # fmt: skip
        console().print()
    print_table(
        ("node", "state", "#capacity", "#before", "#after"),
        [
            (each.node_id, state(each.state), number(each.capacity), number(each.before),
             number(each.after))
            for each in plan.loads
        ],
        "no nodes",
    )  # fmt: skip
    console().print()
    console().print(summary(plan))
    for line in left_out(plan):
        console().print(line)


def summary(plan: fleet_pb2.ShardPlan) -> str:
    """How much moves, beside how much has to."""
    if not plan.moves:
        return "nothing to move: everything is where it should be"
    text = f"{len(plan.moves):,} moves, {plan.moved_mailboxes:,} mailboxes"
    if not plan.left_out:
        text += f" (at least {plan.lower_bound:,} have to move)"
    return f"{text}; at most {plan.limit:,} under way at a time"


def left_out(plan: fleet_pb2.ShardPlan) -> list[str]:
    """What has no place where it can send, by client, and what is missing."""
    if not plan.left_out:
        return []
    count: Counter[str] = Counter()
    for each in plan.left_out:
        count[each.client_id] += each.mailboxes
    clients = ", ".join(f"{id} {mailboxes:,}" for id, mailboxes in sorted(count.items()))
    lines = [f"left out: {len(plan.left_out):,} egresses; mailboxes by client: {clients}"]
    if plan.missing_capacity:
        lines.append(f"missing: {plan.missing_capacity:,} mailboxes of capacity, at least")
    stuck = [each for each in plan.left_out if each.stays_on]
    lines += [f"{e.egress_id} stays on {e.stays_on}: {e.reason}" for e in stuck[:_MOST_STUCK]]
    if len(stuck) > _MOST_STUCK:
        lines.append(f"and {len(stuck) - _MOST_STUCK:,} more that stay; --json shows all")
    return lines
