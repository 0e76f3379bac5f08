"""Before a rebuild touches anything: which nodes, what is at stake, what is refused, who agrees."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

from invoke.exceptions import Exit
from postfleet.v1 import fleet_pb2

from provisioning.bare import Disk
from provisioning.errors import ProvisioningError
from provisioning.fleet import Fleet
from provisioning.one_node import Job
from provisioning.options import addresses_of
from provisioning.rebuild_how import How
from provisioning.rebuild_node import first_look, fleet_of, is_lost
from provisioning.task_run import Chosen


def is_alive(node: fleet_pb2.Node) -> bool:
    """It may be sending at this moment."""
    return node.lease_valid or node.state in ("connected", "cordoned", "draining", "drained")


def lost_ones(nodes: Chosen, fleet: Fleet) -> Chosen:
    """Of these nodes, those that the controller counts as lost. Raises Exit: there are none."""
    seen = {node.id: node for node in fleet.nodes()}
    lost = [pair for pair in nodes if pair[0].id in seen and is_lost(seen[pair[0].id])]
    unfinished = [node.id for node in seen.values() if node.state == "cordoned"]
    if unfinished:
        names = ", ".join(unfinished)
        print(
            f"rebuild: connected and cordoned: {names}. If a rebuild was cut off there, "
            f"`fab rebuild --node {unfinished[0]}` goes on",
            file=sys.stderr,
        )
    if not lost:
        raise Exit("rebuild: no node of the inventory is lost; nothing was changed", 0)
    return lost


def refusals(
    chosen: Sequence[fleet_pb2.Node],
    all_nodes: Sequence[fleet_pb2.Node],
    bound: Mapping[str, int],
    replace_with: str,
    inventory_addresses: Mapping[str, str],
) -> list[str]:
    """Why these nodes may not be rebuilt now; empty: they may. Pure.

    `bound`: mailboxes of a node that can live nowhere else, so need no room elsewhere.
    """
    ids = {node.id for node in chosen}
    found = [
        f"{node.id} is decommissioned; to use the machine again, take the node out of the "
        "inventory, apply, and add it again"
        for node in chosen
        if node.state == "decommissioned"
    ]
    others = {n.id for n in all_nodes if n.address == replace_with} - ids
    others |= {id for id, address in inventory_addresses.items() if address == replace_with} - ids
    if replace_with and others:
        found.append(f"{replace_with} is the address of {', '.join(sorted(others))}")
    alive = [node for node in chosen if is_alive(node)]
    needed = sum(max(0, node.mailboxes - bound.get(node.id, 0)) for node in alive)
    room = sum(max(0, n.capacity - n.mailboxes) for n in all_nodes if n.id not in ids and _takes(n))
    if needed > room:
        found.append(
            f"{', '.join(node.id for node in alive)}: {needed} mailboxes would have to go "
            f"elsewhere, the other nodes have room for {room}. Add a node, or rebuild fewer at "
            "once; a node that is lost is rebuilt whatever room there is"
        )
    return found


def at_stake(node_id: str, stake: fleet_pb2.NodeStake) -> str:
    """What is on a node, in a sentence. Pure."""
    seen = f", heard last {_ago(stake)}" if stake.HasField("last_seen") else ""
    holds = f"holds {stake.egresses} egresses with {stake.mailboxes} mailboxes"
    mail = ", ".join(f"{count:,} {state}" for state, count in sorted(stake.messages.items()))
    total, not_due = sum(stake.messages.values()), stake.messages_not_due
    if not total:
        return f"{node_id} is {stake.life}{seen}, {holds}; no mail depends on its disk"
    return (
        f"{node_id} is {stake.life}{seen}, {holds}; on its disk: {mail} "
        f"({stake.messages_deferred:,} tried before). With a new disk {total - not_due:,} of them "
        f"may have been attempted and become uncertain; {not_due:,} were not due yet and go out "
        "from elsewhere"
    )


def agree(jobs: Sequence[Job], how: How, *, yes: bool) -> None:
    """Refuse, or show what is at stake and have the operator agree where a node is alive.

    Raises ProvisioningError; nothing was changed then.
    """
    seen = {node.id: node for node in fleet_of(jobs[0]).nodes()}
    chosen = [seen[job.node_id] for job in jobs]
    if found := _refusals(jobs, chosen, list(seen.values()), how):
        raise ProvisioningError("\n".join([*found, "Nothing was changed."]))
    console = jobs[0].report.console
    alive = []
    for job, node in zip(jobs, chosen, strict=True):
        stake = fleet_of(job).fence(job.node_id, how.reason, dry_run=True).at_stake
        console.print(at_stake(job.node_id, stake), markup=False, soft_wrap=True)
        # one that speaks although it was fenced holds nothing, but its disk is in use
        if is_alive(node) or stake.life == "alive":
            alive.append(node.id)
    if not alive or yes:
        return
    names = ", ".join(alive)
    warning = (
        f"{names}: alive, and may be sending. Rebuilding it throws its disk away; "
        f"`postfleet node drain {alive[0]}` first moves its mail elsewhere and loses nothing"
    )
    if not sys.stdin.isatty():
        raise ProvisioningError(f"{warning}. Nothing was changed; --yes rebuilds it all the same")
    console.print(warning, markup=False, soft_wrap=True)
    if console.input("Rebuild all the same? [y/N] ").strip().lower() not in ("y", "yes"):
        raise ProvisioningError("not agreed; nothing was changed")


def preview_rebuild(job: Job, how: How) -> str:
    """Say what would be done and what is at stake; change nothing."""
    fleet = fleet_of(job)
    node = fleet.node(job.node_id)
    for why in _refusals([job], [node], fleet.nodes(), how):
        raise ProvisioningError(f"would be refused: {why}")
    stake = fleet.fence(job.node_id, how.reason, dry_run=True).at_stake
    found = first_look(job, how, node)
    line = job.report.line
    line(job.node_id, "at stake", "", 0, at_stake(job.node_id, stake))
    line(job.node_id, "cordon, fence", "would do", 0, f"frees {stake.egresses} egresses for others")
    if found is None or found[1] is Disk.NODE:
        by = how.reinstall or "you, at the provider"
        line(job.node_id, "reinstall", "would do", 0, f"by: {by}")
    else:
        line(job.node_id, "reinstall", "was done", 0, f"{found[0].host} is {found[1]}")
    line(job.node_id, "provision", "would do", 0, "new certificate; the old one is refused then")
    line(job.node_id, "open", "would do", 0, "uncordon; placement gives it a share")
    asking = is_alive(node) or stake.life == "alive"
    asks = "asks first (--yes)" if asking else "does not ask"
    return f"would be rebuilt; {asks}"


def _refusals(
    jobs: Sequence[Job],
    chosen: Sequence[fleet_pb2.Node],
    all_nodes: Sequence[fleet_pb2.Node],
    how: How,
) -> list[str]:
    bound = {job.node_id: fleet_of(job).bound_mailboxes(job.node_id) for job in jobs}
    written = addresses_of(jobs[0].options) if how.replace_with else {}
    return refusals(chosen, all_nodes, bound, how.replace_with, written)


def _takes(node: fleet_pb2.Node) -> bool:
    return node.state == "connected" and node.lease_valid and not node.cordoned


def _ago(stake: fleet_pb2.NodeStake) -> str:
    seconds = max(0, int(time.time() - stake.last_seen.seconds))
    return f"{seconds} s ago" if seconds < 120 else f"{seconds // 60} min ago"
