"""postfleet node drain: orders it, and looks on until the node is empty."""

from __future__ import annotations

from postfleet.v1 import fleet_pb2

from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.moving import Look, look_on, moves_of
from controller.cli.output import as_data, print_json
from controller.cli.shard_plans import left_out, print_plan, summary


def drain(
    session: Session, request: fleet_pb2.DrainNodeRequest, wait: bool, timeout_s: float
) -> None:
    """Raises Failure where it is refused, interrupted, or takes too long."""
    node = request.node_id
    with connected(session) as connection:
        plan = connection.ask("DrainNode", request)
        if not session.json:
            _say(plan, node, request.dry_run)
        if wait and not request.dry_run:
            look_on(
                session,
                lambda: _look(connection, node),
                timeout_s,
                f"`postfleet node drain {node}` looks on again, `postfleet node uncordon {node}` "
                "calls it off",
            )
    if session.json:
        print_json({"dry_run": request.dry_run} | as_data(plan))
    elif wait and not request.dry_run:
        print(f"{node} is drained: it holds nothing and gets nothing until it is uncordoned")


def _look(connection: Connection, node: str) -> Look:
    found = connection.ask("ListNodes", fleet_pb2.ListRequest(id=node)).nodes
    return Look(found[0].egresses if found else 0, moves_of(connection, from_node=node))


def _say(plan: fleet_pb2.ShardPlan, node: str, dry_run: bool) -> None:
    if dry_run:
        print_plan(plan)
        print(f"would change: {node} drains" if plan.changed else f"{node} drains already")
        return
    print(f"{node} {'drains' if plan.changed else 'drains already'}: {summary(plan)}")
    for line in left_out(plan):
        print(line)
