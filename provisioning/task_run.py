"""What every task needs before and after its work: options, jobs, the controller, the summary."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from invoke.exceptions import Exit

from inventory.schema import Node
from provisioning.errors import ProvisioningError
from provisioning.fleet import Fleet
from provisioning.machine import Access
from provisioning.one_node import Job
from provisioning.options import Options, nodes_of
from provisioning.report import Report
from provisioning.stop_sign import StopSign
from provisioning.wheelhouse import build, load

Chosen = Sequence[tuple[Node, Access]]


def options_of(flags: Mapping[str, Any]) -> Options:
    """The task's own arguments, as far as they are options of all tasks."""
    names = {field.name for field in fields(Options)}
    return Options(**{name: value for name, value in flags.items() if name in names})


@contextmanager
def run_of(
    title: str,
    context: Any,
    options: Options,
    *,
    ask_controller: bool,
    choose: Callable[[Chosen, Fleet], Chosen] | None = None,
) -> Iterator[tuple[Sequence[Job], StopSign]]:
    """Everything that all tasks need, and the summary at the end.

    `choose` picks from the options' nodes by what the controller knows of them.
    """
    with ExitStack() as stack:
        try:
            jobs = _jobs(title, context, options, ask_controller, choose, stack)
            try:
                yield jobs, jobs[0].stopped
            finally:
                stack.close()
                if jobs[0].report.has_begun:
                    jobs[0].report.summary()
        except ProvisioningError as error:
            raise Exit(f"{title}: {error}", 1) from error


def _jobs(
    title: str,
    context: Any,
    options: Options,
    ask_controller: bool,
    choose: Callable[[Chosen, Fleet], Chosen] | None,
    stack: ExitStack,
) -> list[Job]:
    keys = context.config.connect_kwargs.get("key_filename") or ()
    options = replace(options, key_files=(keys,) if isinstance(keys, str) else tuple(keys))
    options = options.with_environment()
    if not options.controller and not options.node_controller:
        raise ProvisioningError(
            "which controller? Give --controller HOST:PORT or POSTFLEET_CONTROLLER. No node was "
            "touched"
        )
    nodes: Chosen = nodes_of(options)
    fleet = None
    if ask_controller:
        fleet = stack.enter_context(Fleet(options.controller, Path(options.credentials)))
        nodes = choose(nodes, fleet) if choose else nodes
        for node, _ in nodes:
            fleet.node(node.id)  # before anything is touched: the controller knows all of them
    bundles = load(Path(options.release_dir)) if options.release_dir else build()
    release_id = next(iter(bundles.values())).release_id
    report = stack.enter_context(Report(f"{title} {release_id}", [node.id for node, _ in nodes]))
    stop = StopSign()
    return [
        Job(node, access, options, options.wish(node, release_id), bundles, fleet, report, stop)
        for node, access in nodes
    ]
