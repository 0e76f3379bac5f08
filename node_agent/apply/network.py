"""What the kernel forgets at a reboot: the firewall table and the route to the surrogate addresses.

The route makes all of 198.18.0.0/15 local at once ("AnyIP"): any of its addresses can be bound
without being configured on an interface. Both steps may be repeated at any time; connections that
are open are not disturbed.
"""

from __future__ import annotations

from node_agent.apply import durable
from node_agent.apply.command import Outcome, run
from node_agent.apply.errors import ReloadFailed
from node_agent.apply.layout import SURROGATE_NETWORK, Layout
from node_agent.apply.render import render_nftables


def establish(layout: Layout) -> None:
    """Load the rules, then the route: without rules there is no way to an address to send from."""
    # The file is for nftables.service, which loads it again whenever it has flushed everything.
    durable.replace(layout.nftables, render_nftables(layout), mode=0o600)
    _must(run("/usr/sbin/nft", "-f", str(layout.nftables)))
    _must(run("/usr/sbin/ip", "route", "replace", "local", str(SURROGATE_NETWORK), "dev", "lo"))


def _must(outcome: Outcome) -> None:
    if not outcome.ok:
        raise ReloadFailed(f"{outcome}; Postfix has no way out until this works")
