"""The Fabric tasks of an operator. `fab --list` shows them, `fab --help TASK` explains one.

    fab -i ~/.ssh/fleet provision --inventory fleet.yaml
    fab provision --node n3,n7 --dry-run
    fab check && echo "no drift"
    fab deploy
    fab rebuild --node n3 --reinstall ./reinstall-at-provider
    fab decommission --node n3

Exit codes: 0 done, and for `check` no drift; 1 something failed, differs or is left for you to do;
2 wrong arguments.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from invoke.exceptions import Exit

from provisioning.decommission_node import decommission as decommission_node
from provisioning.decommission_node import preview_decommission
from provisioning.flags import (
    CONTROLLER,
    DRY,
    NODES_CONTROLLER,
    REBUILD,
    RELEASE,
    TOGETHER,
    WHICH,
    Flag,
    Flags,
    task,
)
from provisioning.many_nodes import all_at_once, one_by_one
from provisioning.one_node import bring_about, preview, replace_release
from provisioning.rebuild_consent import agree, lost_ones, preview_rebuild
from provisioning.rebuild_how import How
from provisioning.rebuild_node import rebuild as rebuild_node
from provisioning.task_run import options_of, run_of


@task(
    *(WHICH, CONTROLLER, RELEASE, DRY),
    (Flag("together", f"nodes at a time (default {TOGETHER})", TOGETHER),),
)
def provision(context: Any, flags: Flags) -> None:
    """
    Turn bare Debian 12 and 13 machines into nodes, all at the same time.

    A machine that is one already stays as it is: the second run says "nothing changed". Examples:
    fab -i ~/.ssh/fleet provision --inventory fleet.yaml
    fab provision --node n3,n7 --dry-run
    """
    dry = flags["dry_run"]
    with run_of("provision", context, options_of(flags), ask_controller=not dry) as (jobs, stop):
        good = all_at_once(jobs, preview if dry else bring_about, flags["together"], stop)
    _end(good)


@task(WHICH, CONTROLLER, RELEASE, DRY)
def deploy(context: Any, flags: Flags) -> None:
    """
    Bring this checkout's version to the nodes, one after the other, each checked.

    Stops at the first node that is not healthy afterwards; that node goes back to the version that
    it ran, the nodes after it are not touched. Open SMTP connections stay. Examples:
    fab deploy --node n1        (one first)
    fab deploy
    """
    dry = flags["dry_run"]
    with run_of("deploy", context, options_of(flags), ask_controller=not dry) as (jobs, stop):
        good = one_by_one(jobs, preview if dry else replace_release, stop)
    _end(good)


@task(WHICH, RELEASE, NODES_CONTROLLER)
def check(context: Any, flags: Flags) -> None:
    """
    Say what on the nodes differs from what provision would install; change nothing.

    Exit code 1 when anything differs or a node cannot be looked at. Example, nightly:
    fab check || mail -s "drift" ops@example.net
    """
    with run_of("check", context, options_of(flags), ask_controller=False) as (jobs, stop):
        good = all_at_once(jobs, preview, TOGETHER, stop)
        outcomes = [result.outcome for result in jobs[0].report.results.values()]
    _end(good and set(outcomes) <= {"as wished"})


@task(WHICH, CONTROLLER, RELEASE, DRY, REBUILD)
def rebuild(context: Any, flags: Flags) -> None:
    """
    Make a failed node new: fence, bare Debian, new certificate, provision, its share again.

    --reinstall COMMAND runs with NODE and HOST in its environment, ends with 0 when the bare
    machine answers ssh, and may print its new host key. Without it you reinstall at the provider
    while this waits. Interrupted, it goes on when run again. docs/runbooks/rebuild.md. Examples:
    fab rebuild --node n3 --dry-run
    fab rebuild --node n3 --host-key 'ssh-ed25519 AAAA…'
    fab rebuild --node n3 --replace-with 203.0.113.9 --host-key 'ssh-ed25519 AAAA…'
    fab rebuild --all-failed --reinstall ./reinstall-at-provider
    """
    options, how = options_of(flags), How.of(flags)
    choose = lost_ones if flags["all_failed"] else None
    with run_of("rebuild", context, options, ask_controller=True, choose=choose) as (jobs, stop):
        if flags["dry_run"]:
            good = all_at_once(jobs, partial(preview_rebuild, how=how), flags["together"], stop)
        else:
            agree(jobs, how, yes=flags["yes"])
            good = all_at_once(jobs, partial(rebuild_node, how=how), flags["together"], stop)
    _end(good)


@task(
    *(WHICH, CONTROLLER, RELEASE, DRY),
    (
        Flag("reason", "why; goes to the audit log", "fab decommission"),
        Flag("discard", "clean the machine although mail is left on it: that mail is lost", False),
    ),
)
def decommission(context: Any, flags: Flags) -> None:
    """
    Take nodes out of the fleet: egresses and mail go to others, then postfleet is removed.

    For a machine that is gone for good use `postfleet node decommission ID --fenced` instead.
    fab decommission --node n3 --reason "provider raised its price"
    """
    if not flags["node"]:
        raise Exit("decommission: name the nodes with --node; there is no default here", 2)
    dry = flags["dry_run"]
    work = partial(decommission_node, reason=flags["reason"], discard=flags["discard"])
    with run_of("decommission", context, options_of(flags), ask_controller=not dry) as (jobs, stop):
        good = all_at_once(jobs, preview_decommission if dry else work, TOGETHER, stop)
    _end(good)


def _end(good: bool) -> None:
    if not good:
        raise Exit(code=1)
