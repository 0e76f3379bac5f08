"""One lab of two nodes for all tests here; each test leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.faults_network import NetworkFaults
from lab.lab import Lab
from lab.node import Node
from lab.settings import LabSettings


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    Lab.remove("tlab")
    with Lab.up(LabSettings(name="tlab", nodes=2, var_mib=256)) as lab:
        yield lab


@pytest.fixture(params=["n1", "n2"], ids=["bookworm", "trixie"])
def node(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Node]:
    node = lab.nodes[request.param]
    node.thaw()
    node.boot()
    yield node
    node.thaw()
    node.boot()


@pytest.fixture
def faults(lab: Lab) -> Iterator[NetworkFaults]:
    faults = NetworkFaults(lab.network)
    yield faults
    faults.heal()
