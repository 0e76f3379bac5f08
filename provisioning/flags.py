"""What the tasks can be told on the command line: each flag stands here once, in groups.

A task names the groups it takes and gets them as one mapping; Fabric, which reads a task's flags
from its signature, is shown one made of them:

    @task(WHICH, DRY)
    def check(context, flags): …
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import fabric  # type: ignore[import-untyped]

Flags = Mapping[str, Any]
Body = Callable[[Any, Flags], None]
TOGETHER = 32


@dataclass(frozen=True)
class Flag:
    """One flag: `--like-this VALUE`, or `--like-this` where the default is False."""

    name: str
    help: str
    default: str | bool | int = ""


WHICH = (
    Flag("node", "only these, separated by commas (default: all of the inventory)"),
    Flag("inventory", "inventory file ($POSTFLEET_INVENTORY; default inventory.yaml)"),
    Flag("secrets_dir", "where file: references start ($POSTFLEET_SECRETS; default: that folder)"),
)
NODES_CONTROLLER = (
    Flag("controller", "HOST:PORT of the controller ($POSTFLEET_CONTROLLER)"),
    Flag("node_controller", "the same controller as the nodes reach it (default: --controller)"),
    Flag(
        "metrics_address",
        "where nodes' metrics listen (default: a private address, else 127.0.0.1)",
    ),
)
CONTROLLER = (
    *NODES_CONTROLLER,
    Flag(
        "credentials",
        "folder with ca.pem, cert.pem, key.pem of an operator ($POSTFLEET_CREDENTIALS)",
    ),
)
RELEASE = (Flag("release_dir", "folder of a release built before (default: build this checkout)"),)
DRY = (Flag("dry_run", "say what would be done and change nothing", False),)
REBUILD = (
    Flag("reinstall", "command that reinstalls a machine; see above (default: you do it)"),
    Flag("host_key", "the machine's new ssh host key, from the provider's console"),
    Flag("replace_with", "address of another, bare machine that shall be the node"),
    Flag("all_failed", "all nodes that the controller counts as lost", False),
    Flag("yes", "do not ask, although a node is alive", False),
    Flag("reason", "why; goes to the audit log", "fab rebuild"),
    Flag("together", "nodes at a time (default 4)", 4),
    Flag("wait_minutes", "how long a machine may take to come back bare (default 30)", 30),
)


def task(*groups: tuple[Flag, ...]) -> Callable[[Body], Any]:
    """Makes a Fabric task of a function; its parameters on the command line are the flags."""
    flags = [flag for group in groups for flag in group]
    named = inspect.Parameter.POSITIONAL_OR_KEYWORD

    def decorate(body: Body) -> Any:
        @functools.wraps(body)
        def run(context: Any, **given: Any) -> None:
            body(context, {flag.name: flag.default for flag in flags} | given)

        run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [inspect.Parameter("context", named)]
            + [inspect.Parameter(flag.name, named, default=flag.default) for flag in flags]
        )
        return fabric.task(help={flag.name: flag.help for flag in flags})(run)

    return decorate
