"""Saves what helps to understand a failure from a lab that is about to be taken down."""

from __future__ import annotations

import shutil

from rich.console import Console

from lab.lab import Lab
from lab.settings import CHECKOUT


def keep_logs(lab: Lab, console: Console, of: str) -> None:
    """Copies what helps to understand a failure out of the lab's folder, to .state/OF/NAME."""
    place = CHECKOUT / ".state" / of / lab.name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    for folder in ("log", "receivers", "proxies"):
        shutil.copytree(
            lab.directory / folder,
            place / folder,
            ignore=shutil.ignore_patterns("*.key", "raw", "shadow"),
            dirs_exist_ok=True,
        )
    for node in lab.nodes.values():
        for path in sorted(node.disk.var.glob("log/postfleet/mail.log*")):
            shutil.copy(path, place / f"{node.id}-{path.name}")
        for path in sorted(node.disk.var.glob("lib/postfleet-agent/*.db*")):
            shutil.copy(path, place / f"{node.id}-{path.name}")
        if node.running:
            done = node.run("journalctl --no-pager -n 2000", check=False)
            (place / f"{node.id}-journal.log").write_text(done.stdout)
    console.print(f"logs are kept in {place}")
