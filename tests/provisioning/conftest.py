"""A small real fleet to provision: a lab of bare machines with proxies, a controller, an inventory.

The inventory has n1 and n2; n3 is a spare machine that nobody told the fleet of.

`release` is built once and then fixed: a test is about nodes, not about edits to the checkout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from postfleet.v1 import fleet_pb2, fleet_pb2_grpc

from inventory import load, secrets
from inventory.reference import plan
from lab.lab import Lab
from lab.node import Node
from lab.proxies import PASSWORDS
from lab.settings import LabSettings
from provisioning import wheelhouse

ROOT = Path(__file__).resolve().parents[2]
NODES = ("n1", "n2")
MAILBOXES = 12


@dataclass
class Fleet:
    """What an operator has: a folder with inventory and secrets, credentials, an ssh key."""

    lab: Lab
    folder: Path
    release: Path

    @property
    def controller(self) -> str:
        return f"{self.lab.controller_address}:7443"

    @property
    def nodes(self) -> list[Node]:
        """The machines of the inventory."""
        return [self.lab.nodes[node_id] for node_id in NODES]

    @property
    def credentials(self) -> Path:
        return self.folder / "controller" / "operator"

    def fab(self, *words: str, release: Path | None = None) -> subprocess.CompletedProcess[str]:
        """`fab TASK …` as the operator types it; output is both streams together."""
        process = self.start_fab(*words, release=release)
        output, _ = process.communicate(timeout=900)
        return subprocess.CompletedProcess(process.args, process.returncode, output)

    def start_fab(self, *words: str, release: Path | None = None) -> subprocess.Popen[str]:
        """The same, still running."""
        environment = {
            **os.environ,
            "POSTFLEET_CONTROLLER": self.controller,
            "POSTFLEET_CREDENTIALS": str(self.credentials),
            "POSTFLEET_INVENTORY": str(self.folder / "inventory.yaml"),
            "COLUMNS": "200",
        }
        argv = [str(Path(sys.executable).with_name("fab")), "-i", str(self.lab.ssh_key), *words]
        argv += ["--release-dir", str(release or self.release)]
        return subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def pin_host_keys(self) -> None:
        """Take each node's host key from the provider's console."""
        for node in self.nodes:
            file = self.folder / "host-keys" / node.id
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{node.host_key}\n")

    def stub(self) -> fleet_pb2_grpc.FleetServiceStub:
        ca, key, certificate = (
            (self.credentials / name).read_bytes() for name in ("ca.pem", "key.pem", "cert.pem")
        )
        channel = grpc.secure_channel(
            self.controller, grpc.ssl_channel_credentials(ca, key, certificate)
        )
        return fleet_pb2_grpc.FleetServiceStub(channel)

    def apply_inventory(self) -> None:
        """`postfleet fleet apply`."""
        loaded = load.load(self.folder / "inventory.yaml")
        found = secrets.resolve(loaded, self.folder, {})
        request = fleet_pb2.InventoryRequest(yaml=loaded.text, secrets=found)
        assert self.stub().ApplyInventory(request).applied

    def wait_for_spec(self, node_id: str) -> None:
        """Until the node runs what the controller wants it to run."""
        deadline = time.monotonic() + 180
        while True:
            node = self.node(node_id)
            if 0 < node.running_generation == node.wanted_generation:
                return
            assert time.monotonic() < deadline, node
            time.sleep(0.5)

    def node(self, node_id: str) -> fleet_pb2.Node:
        """The node as the controller sees it."""
        found = self.stub().ListNodes(fleet_pb2.ListRequest()).nodes
        return next(node for node in found if node.id == node_id)


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of this checkout, in a folder of its own."""
    folder = tmp_path_factory.mktemp("release")
    for bundle in wheelhouse.build().values():
        shutil.copy(bundle.path, folder)
    shutil.copy(wheelhouse.WHEELHOUSE / "release.json", folder)
    return folder


@pytest.fixture(scope="session")
def fleet(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    Lab.remove("tprov")
    exits = sum(each.egresses for each in plan(MAILBOXES))
    with Lab.up(LabSettings(name="tprov", nodes=3, proxies=exits)) as lab:
        fleet = Fleet(lab, tmp_path_factory.mktemp("operator"), release)
        _write_inventory(fleet)
        _start_controller(fleet)
        fleet.apply_inventory()
        yield fleet


@pytest.fixture(scope="session")
def provisioned(fleet: Fleet) -> Fleet:
    done = fleet.fab("provision")
    assert done.returncode == 0, done.stdout
    for node_id in NODES:
        fleet.wait_for_spec(node_id)
    return fleet


def _write_inventory(fleet: Fleet) -> None:
    index = str(fleet.lab.network.plan.index)
    argv = [
        sys.executable,
        "-m",
        "inventory.reference",
        "--nodes",
        "2",
        "--mailboxes",
        str(MAILBOXES),
    ]
    text = subprocess.run([*argv, "--lab-index", index], cwd=ROOT, capture_output=True, check=True)
    (fleet.folder / "inventory.yaml").write_bytes(text.stdout)
    fleet.pin_host_keys()
    passwords = fleet.lab.directory / "secrets" / PASSWORDS
    shutil.copytree(passwords, fleet.folder / PASSWORDS)
    loaded = load.load(fleet.folder / "inventory.yaml")
    for use in secrets.references(loaded.inventory):
        file = fleet.folder / use.reference.removeprefix("file:")
        file.parent.mkdir(exist_ok=True)
        if not file.exists():
            file.write_text("some-password\n")


def _start_controller(fleet: Fleet) -> None:
    host = str(fleet.lab.controller_address)
    argv = [sys.executable, "-m", "controller.main"]
    argv += ["--state-dir", str(fleet.folder / "controller"), "--listen", f"{host}:7443"]
    argv += ["--metrics", f"{host}:9600", "--probe-echo", f"{host}:7444"]
    process = fleet.lab.host.popen(argv, log="controller", cwd=ROOT)
    deadline = time.monotonic() + 120
    while True:
        assert process.alive, process.log_tail()
        assert time.monotonic() < deadline, process.log_tail()
        try:
            fleet.stub().GetFleet(fleet_pb2.GetFleetRequest(), timeout=2)
            return
        except (OSError, grpc.RpcError):
            time.sleep(0.5)
