"""Starts the lab's services, each made by its own module, in the order they need each other.

A service module has `start(lab)` (daemons through `lab.network.attach(…).popen(…)`, so that they
end with the lab) and `attach(lab)` (the same handle for a lab that another process brought up).
Their handles are `lab.dns`, `lab.proxies`, `lab.receivers`; None when the settings ask for none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lab.lab import Lab

# handle on Lab -> module; the DNS first: receivers look senders up
MODULES = {"dns": "lab.dns", "proxies": "lab.proxies", "receivers": "lab.receivers.service"}


def start(lab: Lab) -> None:
    """Start what the settings ask for and hang the handles on the lab."""
    for name in _wanted(lab):
        setattr(lab, name, _module(name).start(lab))
        if name == "dns":
            lab.network.use_upstream_resolver(False)


def attach(lab: Lab) -> None:
    """Take up the running services of a lab that another process brought up."""
    for name in _wanted(lab):
        setattr(lab, name, _module(name).attach(lab))


def _wanted(lab: Lab) -> list[str]:
    return [name for name in MODULES if getattr(lab.settings, name)]


def _module(name: str) -> Any:
    return importlib.import_module(MODULES[name])
