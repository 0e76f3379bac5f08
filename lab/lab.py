"""A whole lab: brings up network, nodes and services, takes up one that stands, takes it down.

    with Lab.up(LabSettings(name="t1", nodes=3)) as lab:
        lab.nodes["n1"].run("uname -a")

`up` refuses a name that is up. `attach` gives the same object for a lab that another process
brought up. `down` works from the traces alone, also after a crash, any number of times.
Services (proxies, DNS, receivers) are made by their own modules; here they are only started.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any

from lab import services
from lab.errors import LabError
from lab.network import Network
from lab.network_namespace import Namespace, Process
from lab.node import Node
from lab.node_disk import NodeDisk
from lab.node_image import Progress, ensure_images, image_path
from lab.plan import AddressPlan
from lab.settings import LabSettings, state_directory
from lab.traces import Traces, journal

# nodes that boot at the same time; more only get in each other's way
BOOT_TOGETHER = 4


class Lab:
    """One lab that stands. Make it with `up` or `attach`."""

    def __init__(self, settings: LabSettings, network: Network, traces: Traces) -> None:
        self.settings = settings
        self.name = settings.name
        self.directory = settings.directory
        self.network = network
        self.traces = traces
        self.nodes = {node.id: node for node in self._make_nodes()}
        # handles that `services` hangs here, each of its own module's type
        self.dns: Any = None
        self.proxies: Any = None
        self.receivers: Any = None

    @classmethod
    def up(
        cls,
        settings: LabSettings,
        *,
        images: Progress = lambda *_: None,
        booted: Callable[[str], None] = lambda _: None,
    ) -> Lab:
        """Bring a lab up; on failure nothing of it remains. `booted` is told each node's id."""
        cls.refuse_if_up(settings.name)
        ensure_images(settings.releases, images)
        traces = Traces(journal(settings.name))
        try:
            traces.begin(settings.directory)
        except FileExistsError:
            cls.refuse_if_up(settings.name)
            raise
        try:
            shutil.rmtree(settings.directory, ignore_errors=True)  # from before a reboot
            make_ssh_key(settings.directory / "ssh" / "id_ed25519")
            network = Network.build(settings.name, traces, settings.directory / "log")
            lab = cls(settings, network, traces)
            state = {"index": network.plan.index, **asdict(settings)}
            (settings.directory / "lab.json").write_text(json.dumps(state))
            services.start(lab)
            lab._boot_all(booted)
        except BaseException:
            cls.remove(settings.name)
            raise
        return lab

    @classmethod
    def attach(cls, name: str, *, with_services: bool = True) -> Lab:
        """The lab of this name that another process brought up.

        Without services it can be taken up also while it comes up or goes down.
        """
        try:
            state = json.loads((state_directory(name) / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"no lab {name} is up; `lab up --name {name}` makes one") from None
        plan = AddressPlan(state.pop("index"))
        settings = LabSettings(**{**state, "releases": tuple(state["releases"])})
        traces = Traces(journal(name))
        lab = cls(settings, Network(name, plan, traces, settings.directory / "log"), traces)
        if with_services:
            services.attach(lab)
        return lab

    @staticmethod
    def refuse_if_up(name: str) -> None:
        """Raises LabError with the way out when this machine has a lab of this name."""
        if journal(name).exists():
            where = Traces(journal(name)).directory()
            raise LabError(
                f"lab {name} is up already ({where}); `./run lab down --name {name}` removes it, "
                "also when it crashed or another checkout made it"
            )

    @staticmethod
    def remove(name: str) -> None:
        """Take away every trace of the lab of this name; none there: nothing. Idempotent.

        Also of one that another checkout made: there is one of a name on a machine.
        """
        failures = Traces(journal(name)).undo_all()
        if failures:
            raise LabError(
                f"lab {name} is not wholly gone: " + "; ".join(failures) + f". {journal(name)} "
                "keeps the list; repeat `lab down` after removing the cause."
            )
        shutil.rmtree(state_directory(name), ignore_errors=True)

    def down(self) -> None:
        """Take it away."""
        self.remove(self.name)

    @property
    def controller_address(self) -> IPv4Address:
        """The host's address in the lab, where the controller listens."""
        return self.network.plan.controller

    @property
    def ssh_key(self) -> Path:
        """The private key with which every node's root lets us in."""
        return self.directory / "ssh" / "id_ed25519"

    @property
    def host(self) -> Namespace:
        """The host's own network; processes started by it end with the lab."""
        return self.network.host

    def popen(self, argv: list[str], **options: str) -> Process:
        """Start a process on the host side (the controller, say) that ends with the lab."""
        return self.host.popen(argv, log=options.get("log"))

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.down()

    def _make_nodes(self) -> list[Node]:
        nodes = []
        for number in range(1, self.settings.nodes + 1):
            node_id, release = f"n{number}", self.settings.release(number)
            directory = self.directory / "nodes" / node_id
            disk = NodeDisk(directory, image_path(release), self.settings.var_mib, self.traces)
            address = self.network.plan.node(number)
            namespace = self.network.namespace(node_id)
            nodes.append(Node(node_id, release, address, namespace, disk, self.traces))
        return nodes

    def install(self, node: Node) -> None:
        """Give a node that is off a disk with the bare image, as a provider's "rebuild" does."""
        key = self.ssh_key.with_suffix(".pub").read_text()
        node.disk.identify(node.hostname, key)

    def reinstall(self, node: Node) -> None:
        """Throw the node's disk away and boot the bare image: another machine at its address.

        One that is on loses its power. Interrupted, it is to be called again.
        """
        node.kill()
        node.remove_disk()
        self.install(node)
        node.boot()

    def _boot_all(self, booted: Callable[[str], None]) -> None:
        def boot(node: Node) -> str:
            self.network.attach(node.id, addresses=[f"{node.address}/32"])
            self.install(node)
            node.boot()
            return node.id

        with ThreadPoolExecutor(max_workers=BOOT_TOGETHER) as pool:
            for node_id in pool.map(boot, self.nodes.values()):
                booted(node_id)


def make_ssh_key(path: Path) -> None:
    """The operator's ssh key of this lab."""
    path.parent.mkdir(parents=True, exist_ok=True)
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "postfleet-lab", "-f", str(path)]
    subprocess.run(argv, check=True, capture_output=True)
