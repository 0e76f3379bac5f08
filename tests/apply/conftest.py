"""Two real nodes, one of each Debian release, prepared once for all tests of this folder.

They belong to the lab "apply", which these tests bring up and take down.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.apply.prepared_node import NEWEST, PreparedNode


@pytest.fixture(scope="session")
def prepared_nodes() -> Iterator[dict[str, PreparedNode]]:
    """Release -> node with packages, release and units; no spec applied yet."""
    from lab.lab import Lab
    from lab.settings import LabSettings
    from provisioning import wheelhouse

    bundles = wheelhouse.build()
    Lab.remove("apply")
    with Lab.up(LabSettings(name="apply", nodes=2)) as lab:
        nodes = {
            node.release: PreparedNode(node, str(lab.controller_address))
            for node in lab.nodes.values()
        }
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda n: n.prepare(bundles[NEWEST[n.release]]), nodes.values()))
        yield nodes


@pytest.fixture(params=["bookworm", "trixie"])
def node(request: pytest.FixtureRequest, prepared_nodes: dict[str, PreparedNode]) -> PreparedNode:
    """A prepared node of each release in turn."""
    return prepared_nodes[request.param]
