"""Works on one node: look, plan, carry out step by step, check. Never on more than one.

Between two steps it looks whether the operator wants to stop; a step that has begun is finished, so
nothing stays half done.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from inventory.schema import Node
from provisioning import health, steps
from provisioning.actions import Step
from provisioning.carry_out import Worker
from provisioning.errors import Interrupted, ProvisioningError
from provisioning.facts import Facts
from provisioning.facts_look import read, script
from provisioning.fleet import Fleet
from provisioning.machine import Access, Machine
from provisioning.options import Options
from provisioning.report import Report
from provisioning.steps_services import switch_back
from provisioning.stop_sign import StopSign
from provisioning.wheelhouse import Bundle
from provisioning.wish import CURRENT, Wish


@dataclass(frozen=True)
class Job:
    """What is to become of one node. `fleet` is None where the controller is not asked."""

    node: Node
    access: Access
    options: Options
    wish: Wish
    bundles: dict[str, Bundle]
    fleet: Fleet | None
    report: Report
    stopped: StopSign

    @property
    def node_id(self) -> str:
        """The node's id in the inventory."""
        return self.node.id


def look(machine: Machine, wish: Wish) -> Facts:
    """Everything about the machine that the wish cares for, in one round trip."""
    answer = machine.run(script(wish.question))
    if answer.status != 0:
        raise ProvisioningError(
            f"{wish.node_id}: looking at the node ended with {answer.status}: "
            f"{answer.stderr.strip()}. Nothing was changed; root (or sudo without a password) is "
            "needed"
        )
    return read(answer.stdout)


def planned(facts: Facts, job: Job) -> list[Step]:
    """The steps that this node needs."""
    if facts.major not in job.bundles:
        steps.refuse_unsupported(facts, job.wish)
    return steps.plan(facts, job.wish, job.bundles[facts.major])


def preview(job: Job) -> str:
    """Say what would be done and do nothing; returns the outcome: "as wished" or "differs"."""
    with Machine(job.access) as machine:
        todo = planned(look(machine, job.wish), job)
    for step in todo:
        job.report.results[job.node_id].steps.append(step.name)
        for why in step.why:
            job.report.line(job.node_id, step.name, "would do", 0, why)
    if not todo:
        job.report.line(job.node_id, "all", "as wished", 0)
    return "differs" if todo else "as wished"


def bring_about(job: Job) -> str:
    """Make the node what is wished; returns "changed" or "nothing changed"."""
    with Machine(job.access) as machine:
        facts = look(machine, job.wish)
        todo = planned(facts, job)
        job.report.planned(job.node_id, len(todo) + 1)
        before = _heard(job)
        _carry_out(job, machine, todo)
        _check_health(job, machine, before if todo else -1)
    return "changed" if todo else "nothing changed"


def replace_release(job: Job) -> str:
    """Like `bring_about`, but an unhealthy node goes back to the release that it ran."""
    with Machine(job.access) as machine:
        facts = look(machine, job.wish)
        todo = planned(facts, job)
        link = facts.paths.get(CURRENT)
        job.report.planned(job.node_id, len(todo) + 1)
        before = _heard(job)
        try:
            _carry_out(job, machine, todo)
            _check_health(job, machine, before if todo else -1)
        except ProvisioningError as error:
            if link is None or link.target in ("", job.wish.release_id):
                raise
            _carry_out(job, machine, [switch_back(link.target)], even_if_stopped=True)
            raise ProvisioningError(f"{error}\n{job.node_id} runs {link.target} again") from error
    return "changed" if todo else "nothing changed"


def _carry_out(
    job: Job, machine: Machine, todo: list[Step], *, even_if_stopped: bool = False
) -> None:
    worker = Worker(job.node_id, machine, job.fleet)
    done = job.report.results[job.node_id].steps
    for step in todo:
        if job.stopped() and not even_if_stopped:
            raise Interrupted(
                f"{job.node_id}: stopped before step {step.name}; done: {', '.join(done) or '-'}. "
                "Run it again to go on"
            )
        job.report.doing(job.node_id, step.name)
        started = time.monotonic()
        worker.do(step)
        done.append(step.name)
        why = step.why[0] + (f" (and {len(step.why) - 1} more)" if len(step.why) > 1 else "")
        job.report.line(job.node_id, step.name, "done", time.monotonic() - started, why)


def _heard(job: Job) -> int:
    return health.heard_at(job.fleet.node(job.node_id)) if job.fleet else 0


def _check_health(job: Job, machine: Machine, after: int) -> None:
    if job.fleet is None:
        return
    job.report.doing(job.node_id, "health")
    started = time.monotonic()
    words = health.wait_healthy(job.node_id, machine, job.fleet, after, job.stopped)
    job.report.line(job.node_id, "health", "good", time.monotonic() - started, words)
