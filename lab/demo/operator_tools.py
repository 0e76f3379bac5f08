"""Uses the operator's own tools: `postfleet fleet apply` and `fab`, as processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from lab.demo.errors import DemoError
from lab.demo.fleet import Fleet
from lab.lab import Lab
from lab.settings import CHECKOUT
from provisioning.errors import ProvisioningError
from provisioning.wheelhouse import WHEELHOUSE, build

_SHOWN_LINES = 40


def environment(lab: Lab, fleet: Fleet, inventory: Path) -> dict[str, str]:
    """What `postfleet` and `fab` need to know, as an operator would export it."""
    return {
        "POSTFLEET_CONTROLLER": fleet.target,
        "POSTFLEET_CREDENTIALS": str(fleet.credentials),
        "POSTFLEET_INVENTORY": str(inventory),
        "POSTFLEET_SECRETS": str(lab.directory / "secrets"),
        "POSTFLEET_SSH_KEY": str(lab.ssh_key),
    }


def write_host_keys(lab: Lab) -> None:
    """The nodes' public host keys, as a provider's panel shows them, for the inventory to pin."""
    folder = lab.directory / "secrets" / "host-keys"
    folder.mkdir(parents=True, exist_ok=True)
    for node in lab.nodes.values():
        (folder / node.id).write_text(node.host_key + "\n")


def apply_inventory(lab: Lab, fleet: Fleet, inventory: Path) -> int:
    """Runs `postfleet fleet apply`; returns the number of changes. Raises DemoError."""
    argv = [_tool("postfleet"), "fleet", "apply", str(inventory), "--yes", "--json"]
    argv += ["--secrets-dir", str(lab.directory / "secrets")]
    env = {**os.environ, **environment(lab, fleet, inventory)}
    done = subprocess.run(argv, cwd=CHECKOUT, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise DemoError(f"`{' '.join(argv)}` ended with {done.returncode}:\n{done.stderr}")
    return len(json.loads(done.stdout).get("changes", ()))


def _tool(name: str) -> str:
    """The program of this checkout's virtual environment."""
    return str(Path(sys.executable).parent / name)


def build_release(lab: Lab, checkout: Path = CHECKOUT, name: str = "release") -> Path:
    """Builds what nodes install into the lab's own folder, so that another build of this checkout
    does not take it away meanwhile. Downloaded wheels are shared with `dist/`."""
    house = lab.directory / name
    house.mkdir(exist_ok=True)
    WHEELHOUSE.mkdir(parents=True, exist_ok=True)
    _share_wheels(WHEELHOUSE, house)
    try:
        build(house, checkout)
    except ProvisioningError as error:
        raise DemoError(f"building the release: {error}") from error
    _share_wheels(house, WHEELHOUSE)
    return house


def _share_wheels(source: Path, target: Path) -> None:
    for wheel in source.glob("*.whl"):
        if not (target / wheel.name).exists() and not wheel.name.startswith("postfleet-"):
            shutil.copy2(wheel, target / wheel.name)


def provision(
    lab: Lab,
    fleet: Fleet,
    inventory: Path,
    line: Callable[[str], None] = lambda _: None,
    release: Path | None = None,
) -> None:
    """Runs `fab provision` over all nodes; see `fab`."""
    fab("provision", lab, fleet, inventory, line, release)


def fab(
    task: str,
    lab: Lab,
    fleet: Fleet,
    inventory: Path,
    line: Callable[[str], None] = lambda _: None,
    release: Path | None = None,
) -> None:
    """Runs a task of `fab` over all nodes; `line` gets what it prints.

    `release` is what `build_release` made; without it the task builds this checkout itself. The
    output is kept in the lab's log folder. Raises DemoError with the end of it.
    """
    log = lab.directory / "log" / f"{task}.log"
    argv = [_tool("fab"), task, *(["--release-dir", str(release)] if release else [])]
    env = {**os.environ, **environment(lab, fleet, inventory), "PYTHONUNBUFFERED": "1"}
    lines: list[str] = []
    with (
        log.open("w") as kept,
        subprocess.Popen(
            argv,
            cwd=CHECKOUT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for text in process.stdout:
                kept.write(text)
                kept.flush()
                lines.append(text.rstrip())
                line(text.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        end = "\n".join(lines[-_SHOWN_LINES:])
        raise DemoError(f"`fab {task}` ended with {process.returncode} (all of it: {log}):\n{end}")
