"""What has to be true before Postfix, opendkim and the gateway start at boot.

`establish_network` (postfleet-net.service, before the network is up) closes the SMTP ports and
makes the surrogate addresses local; it needs no spec. `restore` (postfleet-boot.service, before the
services) takes back a swap that a power loss interrupted, and repairs what a package upgrade or a
damaged disk did to the files, from the applied spec. Neither starts nor reloads anything: systemd
starts the services afterwards, and ordering a start here would wait for itself.
"""

from __future__ import annotations

from node_agent.apply import durable, mail_log, network, swap
from node_agent.apply.apply_spec import applied
from node_agent.apply.errors import ApplyError
from node_agent.apply.generation import read_message
from node_agent.apply.layout import Layout
from node_agent.apply.log import log
from node_agent.apply.read_spec import read_spec
from node_agent.apply.render import render
from node_agent.apply.stage import compile_maps, intact, present, stage


def establish_network(layout: Layout) -> str:
    """Load the rules and the route; return a sentence about it. Raises ReloadFailed."""
    network.establish(layout)
    return "the SMTP ports are open to the gateway only; surrogate addresses are local"


def restore(layout: Layout) -> str:
    """Make the files whole; return a sentence saying what was done. Raises ApplyError."""
    done = []
    unproven = swap.interrupted(layout)
    if unproven is not None:
        swap.revert(unproven, layout)
        done.append(f"took back {unproven.next}, which was never proven")
    current = present(layout)
    if current is None:
        return "; ".join([*done, "no generation was applied yet: Postfix stays off"])
    mail_log.provide(layout)
    if not intact(current):
        done.append(_repair(layout))
    wrong = swap.fix_links(layout)
    if wrong:
        done.append(f"linked again: {', '.join(str(path) for path in wrong)}")
    swap.tidy(layout)
    spec = applied(present(layout))
    runs = spec.generation if spec else "unknown"
    return "; ".join([*done, f"generation {runs} is in place"])


def _repair(layout: Layout) -> str:
    current = present(layout)
    if current is None:
        raise ApplyError("there is no current generation to repair")
    message = read_message(current)
    spec = read_spec(message)
    rendered = render(spec, message.SerializeToString(deterministic=True), layout)
    staged = stage(rendered, spec.generation, layout)
    try:
        compile_maps(staged)
    except ApplyError:
        durable.remove(staged)
        raise
    swap.commit(swap.begin(staged, layout), layout)
    log().warning("repaired", damaged=current.name, by=staged.name)
    return f"{current.name} was damaged and was rendered anew from its spec"
