"""The Fabric tasks of an operator. `fab --list` shows them, `fab --help TASK` explains one.

    fab -i ~/.ssh/fleet provision --inventory fleet.yaml
    fab provision --node n3,n7 --dry-run
    fab check && echo "no drift"
    fab deploy
    fab decommission --node n3

Exit codes: 0 done, and for `check` no drift; 1 something failed or differs; 2 wrong arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import fabric  # type: ignore[import-untyped]
from invoke.exceptions import Exit

from provisioning.decommission_node import decommission as decommission_node
from provisioning.decommission_node import preview_decommission
from provisioning.many_nodes import all_at_once, one_by_one
from provisioning.one_node import bring_about, preview, replace_release
from provisioning.task_run import options_of, run_of

TOGETHER = 32

# Fabric's decorator has no types; to us it gives back what it is given.
task: Callable[..., Callable[[Callable[..., None]], Callable[..., None]]] = fabric.task

_WHICH = {
    "node": "only these, separated by commas (default: all of the inventory)",
    "inventory": "inventory file ($POSTFLEET_INVENTORY; default inventory.yaml)",
    "secrets_dir": "where file: references start ($POSTFLEET_SECRETS; default: that folder)",
}
_CONTROLLER = {
    "controller": "HOST:PORT of the controller ($POSTFLEET_CONTROLLER)",
    "credentials": "folder with ca.pem, cert.pem, key.pem of an operator ($POSTFLEET_CREDENTIALS)",
    "node_controller": "the same controller as the nodes reach it (default: --controller)",
    "metrics_address": "where nodes' metrics listen (default: a private address, else 127.0.0.1)",
}
_RELEASE = {"release_dir": "folder of a release built before (default: build this checkout)"}
_DRY = {"dry_run": "say what would be done and change nothing"}


@task(help=_WHICH | _CONTROLLER | _RELEASE | _DRY | {"together": "nodes at a time (default 32)"})
def provision(
    context: Any,
    node: str = "",
    inventory: str = "",
    secrets_dir: str = "",
    controller: str = "",
    credentials: str = "",
    node_controller: str = "",
    metrics_address: str = "",
    release_dir: str = "",
    dry_run: bool = False,
    together: int = TOGETHER,
) -> None:
    """
    Turn bare Debian 12 and 13 machines into nodes, all at the same time.

    A machine that is one already stays as it is: the second run says "nothing changed". Examples:
    fab -i ~/.ssh/fleet provision --inventory fleet.yaml
    fab provision --node n3,n7 --dry-run
    """
    options = options_of(locals())
    work = preview if dry_run else bring_about
    with run_of("provision", context, options, ask_controller=not dry_run) as (jobs, stop):
        good = all_at_once(jobs, work, together, stop)
    _end(good)


@task(help=_WHICH | _CONTROLLER | _RELEASE | _DRY)
def deploy(
    context: Any,
    node: str = "",
    inventory: str = "",
    secrets_dir: str = "",
    controller: str = "",
    credentials: str = "",
    node_controller: str = "",
    metrics_address: str = "",
    release_dir: str = "",
    dry_run: bool = False,
) -> None:
    """
    Bring this checkout's version to the nodes, one after the other, each checked.

    Stops at the first node that is not healthy afterwards; that node goes back to the version that
    it ran, the nodes after it are not touched. Open SMTP connections stay. Examples:
    fab deploy --node n1        (one first)
    fab deploy
    """
    options = options_of(locals())
    work = preview if dry_run else replace_release
    with run_of("deploy", context, options, ask_controller=not dry_run) as (jobs, stop):
        good = one_by_one(jobs, work, stop)
    _end(good)


@task(
    help=_WHICH | _RELEASE | {key: _CONTROLLER[key] for key in _CONTROLLER if key != "credentials"}
)
def check(
    context: Any,
    node: str = "",
    inventory: str = "",
    secrets_dir: str = "",
    controller: str = "",
    node_controller: str = "",
    metrics_address: str = "",
    release_dir: str = "",
) -> None:
    """
    Say what on the nodes differs from what provision would install; change nothing.

    Exit code 1 when anything differs or a node cannot be looked at. Example, nightly:
    fab check || mail -s "drift" ops@example.net
    """
    options = options_of(locals())
    with run_of("check", context, options, ask_controller=False) as (jobs, stop):
        good = all_at_once(jobs, preview, TOGETHER, stop)
        outcomes = [result.outcome for result in jobs[0].report.results.values()]
    _end(good and set(outcomes) <= {"as wished"})


@task(
    help=_WHICH
    | _CONTROLLER
    | _RELEASE
    | _DRY
    | {
        "reason": "why; goes to the audit log",
        "discard": "clean the machine although mail is left on it: that mail is lost",
    }
)
def decommission(
    context: Any,
    node: str,
    inventory: str = "",
    secrets_dir: str = "",
    controller: str = "",
    credentials: str = "",
    node_controller: str = "",
    metrics_address: str = "",
    release_dir: str = "",
    reason: str = "fab decommission",
    discard: bool = False,
    dry_run: bool = False,
) -> None:
    """
    Take nodes out of the fleet: egresses and mail go to others, then postfleet is removed.

    For a machine that is gone for good use `postfleet node decommission ID --fenced` instead.
    fab decommission --node n3 --reason "provider raised its price"
    """
    if not node:
        raise Exit("decommission: name the nodes with --node; there is no default here", 2)
    options = options_of(locals())
    work = (
        preview_decommission
        if dry_run
        else partial(decommission_node, reason=reason, discard=discard)
    )
    with run_of("decommission", context, options, ask_controller=not dry_run) as (jobs, stop):
        good = all_at_once(jobs, work, TOGETHER, stop)
    _end(good)


def _end(good: bool) -> None:
    if not good:
        raise Exit(code=1)
