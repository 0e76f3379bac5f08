"""postfleet shard rebalance: shows the plan, asks, orders it, and looks on."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.cli.asking import confirm
from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.moving import Look, look_on, moves_of
from controller.cli.output import as_data, print_json
from controller.cli.shard_plans import print_plan

_GO_ON = (
    "`postfleet shard moves` shows what is under way, `postfleet shard rebalance --stop` calls the "
    "rest off"
)


def rebalance(
    session: Session,
    request: fleet_pb2.RebalanceShardsRequest,
    yes: bool,
    wait: bool,
    timeout_s: float,
) -> None:
    """Raises Failure where it is refused, interrupted, or takes too long."""
    dry_run = request.dry_run
    with connected(session) as connection:
        request.dry_run = True
        plan = connection.ask("RebalanceShards", request)
        if not session.json:
            print_plan(plan)
        if plan.changed and not dry_run:
            confirm(session, f"Move {plan.moved_mailboxes:,} mailboxes?", yes=yes)
            request.dry_run = False
            plan = connection.ask("RebalanceShards", request)
            if wait:
                look_on(session, lambda: _look(connection), timeout_s, _GO_ON)
    if session.json:
        print_json({"dry_run": dry_run} | as_data(plan))
    elif plan.changed:
        done = "the load is even" if wait else f"ordered. {_GO_ON}"
        print("would change: the above" if dry_run else done)


def _look(connection: Connection) -> Look:
    """While the order stands, what is left is what placement would still move."""
    order = connection.ask("ListShardMoves", fleet_pb2.ListShardMovesRequest())
    if not order.rebalancing:
        return Look(0, moves_of(connection, reason="rebalance"))
    plan = connection.ask("PlanShards", fleet_pb2.PlanShardsRequest())
    moves = [each for each in order.moves if each.to_node]
    return Look(max(1, len(plan.moves) + len(moves)), moves)


def stop(session: Session, reason: str, dry_run: bool) -> None:
    """Calls the order off; what is under way is finished."""
    request = fleet_pb2.RebalanceShardsRequest(stop=True, reason=reason, dry_run=dry_run)
    with connected(session) as connection:
        plan = connection.ask("RebalanceShards", request)
        under_way = len(moves_of(connection))
    if session.json:
        print_json({"dry_run": dry_run} | as_data(plan))
    elif not plan.changed:
        print("no rebalance is running; nothing changed")
    else:
        word = "would be" if dry_run else "is"
        print(f"the rebalance {word} called off; {under_way:,} moves under way are finished")
