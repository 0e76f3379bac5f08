"""Recorded looks at real nodes (facts/*.txt), and the wish they are compared with.

`node-12` and `node-13` were provisioned; the digests of files that provisioning brings are put to
today's, as these files live on. `bare-…` are fresh machines.
"""

from __future__ import annotations

from pathlib import Path

from provisioning.facts import Facts
from provisioning.facts_look import read
from provisioning.lock import TARGETS
from provisioning.wheelhouse import Bundle
from provisioning.wish import Wish, wish_for

FACTS = Path(__file__).parent / "facts"
RELEASE = "0.1.0-3cbd390832"
CONTROLLER = "controller.example.net:7443"


def wish(node_id: str = "n1", release_id: str = RELEASE) -> Wish:
    return wish_for(
        node_id, controller=CONTROLLER, metrics_listen="10.80.1.1:9601", release_id=release_id
    )


def bundle(version: str, release_id: str = RELEASE) -> Bundle:
    path = Path(f"postfleet-{release_id}-{TARGETS[version].name}.tar")
    return Bundle(release_id, TARGETS[version], path, "0" * 64, "pip-26.3-py3-none-any.whl")


def text(name: str, node_id: str) -> str:
    """A recorded look, as if the machine had today's files; bare machines have none."""
    recorded = (FACTS / f"{name}.txt").read_text()
    if name.startswith("bare"):
        return recorded
    head, mark, rest = recorded.partition("/opt/postfleet/current|")
    brought = {file.path for file in wish(node_id).files}
    lines = [line for line in head.splitlines() if line.split("|")[0] not in brought]
    lines += [f"{f.path}|regular file|root|root|644||{f.sha256}" for f in wish(node_id).files]
    return "\n".join(lines) + "\n" + mark + rest


def facts(name: str, node_id: str = "n1") -> Facts:
    return read(text(name, node_id))
