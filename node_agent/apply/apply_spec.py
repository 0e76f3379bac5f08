"""One spec from the wire to running services: validate, render, check, swap, reload, probe.

    any failure before the swap leaves everything untouched
    any failure after it goes back to the previous generation, services included

Only the caller that holds the lock may come here (node_agent.apply.main).
"""

from __future__ import annotations

from pathlib import Path

from google.protobuf.message import DecodeError
from postfleet.v1 import spec_pb2

from node_agent.apply import postfix_master, services, swap
from node_agent.apply.check import check
from node_agent.apply.errors import ApplyError, ReloadFailed, ValidationFailed
from node_agent.apply.generation import read_message
from node_agent.apply.layout import Layout
from node_agent.apply.log import log
from node_agent.apply.model import NodeSpec
from node_agent.apply.probe import probe
from node_agent.apply.probe_choice import to_probe
from node_agent.apply.read_spec import read_spec
from node_agent.apply.render import Rendered, render
from node_agent.apply.stage import changed, compile_maps, holds, present, stage


def apply_spec(message: spec_pb2.NodeSpec, own_node_id: str | None, layout: Layout) -> bool:
    """Make the node run `message`. Return False when it did already and nothing was touched.

    Raises ApplyError; the node then runs what it ran before.
    """
    spec = read_spec(message)
    if own_node_id is not None and spec.node_id != own_node_id:
        raise ValidationFailed(f"the spec is for node {spec.node_id}; this is {own_node_id}")
    before = present(layout)
    previous = applied(before)
    if previous is not None and spec.generation < previous.generation:
        raise ValidationFailed(
            f"generation {spec.generation} is lower than {previous.generation}, which runs"
        )
    rendered = render(spec, message.SerializeToString(deterministic=True), layout)
    if before and holds(before, rendered) and not swap.fix_links(layout):
        services.reload(services.NOTHING_CHANGED, spec.generation, layout)
        return False
    same_templates = before is not None and previous is not None and _as_today(before, layout)
    staged = stage(rendered, spec.generation, layout)
    try:
        compile_maps(staged)
        check(staged, before if same_templates else None, spec, layout)
    except ApplyError:
        swap.keep_failed(staged, layout)
        raise
    _install(staged, spec, to_probe(previous, spec, same_templates), layout)
    return True


def applied(directory: Path | None) -> NodeSpec | None:
    """Return the spec of a generation; None where there is none or it is damaged."""
    try:
        return read_spec(read_message(directory)) if directory else None
    except (OSError, DecodeError, ValidationFailed) as error:
        log().warning("the applied spec cannot be read", directory=str(directory), error=str(error))
        return None


def go_back(unproven: swap.Swap, layout: Layout) -> None:
    """Run the previous generation again: files first, then every service that may have the other.

    Raises SwapFailed or ReloadFailed.
    """
    swap.revert(unproven, layout)
    before = present(layout)
    previous = applied(before)
    if previous is None:
        postfix_master.stop()
    else:
        # Somebody may have flushed the rules, and the probe failed for that.
        services.reload(services.ALL_CHANGED, previous.generation, layout, also_network=True)


def _as_today(directory: Path, layout: Layout) -> bool:
    """True when today's templates make of the old spec what the old ones made."""
    return holds(directory, _rerender(directory, layout))


def _rerender(directory: Path, layout: Layout) -> Rendered:
    message = read_message(directory)
    return render(read_spec(message), message.SerializeToString(deterministic=True), layout)


def _install(staged: Path, spec: NodeSpec, transports: list[str], layout: Layout) -> None:
    before = present(layout)
    changes = services.Changes(
        gateway=changed(before, staged, "gateway"),
        opendkim=changed(before, staged, "opendkim"),
        postfix=changed(before, staged, "postfix"),
    )
    unproven = None
    try:
        unproven = swap.begin(staged, layout)
        services.reload(changes, spec.generation, layout)
        probe(transports, layout)
    except ApplyError as error:
        log().warning("going back", generation=spec.generation, stage=error.stage, error=str(error))
        try:
            go_back(unproven or swap.Swap(before.name if before else None, staged.name), layout)
        except ApplyError as second:
            raise ReloadFailed(
                f"{error.stage}: {error} -- and going back failed, too: {second}"
            ) from error
        raise
    swap.commit(unproven, layout)
    log().info("applied", generation=spec.generation, changes=vars(changes), probed=transports)
