"""Takes one node out of the fleet: first its work, then its software.

The controller gives its egresses back in order (no message is lost, none sent twice) and declares
it decommissioned; only then, and only with an empty queue and spool, is the machine cleaned.
"""

from __future__ import annotations

import time

from provisioning.carry_out import Worker
from provisioning.errors import ControllerError, Interrupted, ProvisioningError
from provisioning.machine import Machine
from provisioning.one_node import Job, look
from provisioning.steps_farewell import farewell

WAIT_S = 300.0
PAUSE_S = 1.0


def decommission(job: Job, *, reason: str, discard: bool, wait_s: float = WAIT_S) -> str:
    """Returns "decommissioned" or "nothing changed". Raises ProvisioningError.

    `discard` cleans the machine although mail is left on it: that mail is lost.
    """
    if job.fleet is None:
        raise ControllerError(
            f"{job.node_id} can be decommissioned with the controller's consent only: give "
            "--controller and --credentials. Nothing was changed"
        )
    started = time.monotonic()
    job.report.doing(job.node_id, "hand over")
    _hand_over(job, reason, wait_s)
    seconds = time.monotonic() - started
    job.report.line(job.node_id, "hand over", "done", seconds, "no egress is assigned to it")
    with Machine(job.access) as machine:
        facts = look(machine, job.wish)
        if (facts.queued or facts.spooled) and not discard:
            raise ProvisioningError(
                f"{job.node_id} is out of the fleet, but {facts.queued} messages are in Postfix's "
                f"queue and {facts.spooled} in the agent's spool; nothing was removed. Wait and "
                "run it again, or lose them with --discard"
            )
        worker = Worker(job.node_id, machine, job.fleet)
        todo = farewell(facts, job.wish)
        for step in todo:
            job.report.doing(job.node_id, step.name)
            started = time.monotonic()
            worker.do(step)
            job.report.results[job.node_id].steps.append(step.name)
            seconds = time.monotonic() - started
            job.report.line(job.node_id, step.name, "done", seconds, step.why[0])
    return "decommissioned" if todo else "nothing changed"


def preview_decommission(job: Job) -> str:
    """Say what would be removed; nothing is changed, the controller is not asked to act."""
    with Machine(job.access) as machine:
        todo = farewell(look(machine, job.wish), job.wish)
    for step in todo:
        job.report.results[job.node_id].steps.append(step.name)
        job.report.line(job.node_id, step.name, "would do", 0, step.why[0])
    return "would be decommissioned" if todo else "nothing to remove"


def _hand_over(job: Job, reason: str, wait_s: float) -> None:
    assert job.fleet is not None
    if job.fleet.node(job.node_id).state != "decommissioned":
        job.fleet.decommission(job.node_id, fenced=False, dry_run=False, reason=reason)
    deadline = time.monotonic() + wait_s
    while (node := job.fleet.node(job.node_id)).state != "decommissioned" or node.egresses:
        if job.stopped():
            raise Interrupted(
                f"{job.node_id} still hands {node.egresses} egresses over and goes on doing so; "
                "run it again to clean the machine"
            )
        if time.monotonic() > deadline:
            raise ControllerError(
                f"{job.node_id} is {node.state} and still has {node.egresses} egresses after "
                f"{wait_s:.0f} s; nothing was removed from it. Run it again later; for a machine "
                f"that is gone: `postfleet node decommission {job.node_id} --fenced`"
            )
        time.sleep(PAUSE_S)
