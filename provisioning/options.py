"""What the tasks are told: which nodes, which controller, which keys; from flags or environment.

| flag | environment | default |
|---|---|---|
| --inventory | POSTFLEET_INVENTORY | inventory.yaml |
| --secrets-dir | POSTFLEET_SECRETS | the inventory's folder |
| --controller | POSTFLEET_CONTROLLER | none |
| --credentials | POSTFLEET_CREDENTIALS | ~/.config/postfleet |
| fab -i FILE | POSTFLEET_SSH_KEY | the ssh agent and ~/.ssh |
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from inventory import load
from inventory.errors import InventoryError
from inventory.schema import Node
from inventory.secrets import host_key, resolve
from provisioning.errors import ProvisioningError
from provisioning.machine import Access
from provisioning.wish import Wish, wish_for

METRICS_PORT = 9601


@dataclass(frozen=True)
class Options:
    """The flags as they stand; empty strings are unset."""

    inventory: str = ""
    secrets_dir: str = ""
    node: str = ""
    controller: str = ""
    node_controller: str = ""
    credentials: str = ""
    metrics_address: str = ""
    release_dir: str = ""
    key_files: tuple[str, ...] = ()

    def with_environment(self, environ: Mapping[str, str] = os.environ) -> Options:
        """The same with the environment's values where no flag was given."""
        key = environ.get("POSTFLEET_SSH_KEY", "")
        return replace(
            self,
            inventory=self.inventory or environ.get("POSTFLEET_INVENTORY", "inventory.yaml"),
            secrets_dir=self.secrets_dir or environ.get("POSTFLEET_SECRETS", ""),
            controller=self.controller or environ.get("POSTFLEET_CONTROLLER", ""),
            credentials=self.credentials
            or environ.get("POSTFLEET_CREDENTIALS", str(Path("~/.config/postfleet").expanduser())),
            key_files=self.key_files or ((key,) if key else ()),
        )

    def metrics_listen(self, node: Node) -> str:
        """Where the node's metrics listen: as told, else its address where that is private, else
        loopback: metrics are nobody's business on a public address."""
        if self.metrics_address:
            return f"{self.metrics_address}:{METRICS_PORT}"
        return f"{node.address if node.address.is_private else '127.0.0.1'}:{METRICS_PORT}"

    def wish(self, node: Node, release_id: str) -> Wish:
        """What the node's machine shall be."""
        return wish_for(
            node.id,
            controller=self.node_controller or self.controller,
            metrics_listen=self.metrics_listen(node),
            release_id=release_id,
        )

    @property
    def secrets_folder(self) -> Path:
        """Where `file:` references start."""
        return Path(self.secrets_dir) if self.secrets_dir else Path(self.inventory).parent


def nodes_of(
    options: Options, environ: Mapping[str, str] = os.environ
) -> list[tuple[Node, Access]]:
    """The chosen nodes with the way to them, in the inventory's order. Raises ProvisioningError."""
    path = Path(options.inventory)
    try:
        loaded = load.load(path)
        # Only host keys are needed here: whoever provisions need not have the proxies' passwords.
        nodes_only = replace(loaded, inventory=loaded.inventory.model_copy(update={"egresses": ()}))
        secrets = resolve(nodes_only, options.secrets_folder, environ)
    except InventoryError as error:
        raise ProvisioningError(f"{error}\nNo node was touched.") from error
    chosen = _chosen(loaded.inventory.nodes, [name for name in options.node.split(",") if name])
    return [
        (
            node,
            Access(
                node_id=node.id,
                host=str(node.address),
                port=node.ssh_port,
                user=node.ssh_user,
                host_key=host_key(node.host_key, secrets),
                key_files=options.key_files,
            ),
        )
        for node in chosen
    ]


def addresses_of(options: Options) -> dict[str, str]:
    """Node -> address of the whole inventory. Raises ProvisioningError."""
    every_node = nodes_of(replace(options, node=""))
    return {node.id: access.host for node, access in every_node}


def _chosen(nodes: Sequence[Node], names: Sequence[str]) -> list[Node]:
    unknown = set(names) - {node.id for node in nodes}
    if unknown:
        raise ProvisioningError(
            f"the inventory has no node {', '.join(sorted(unknown))}; it has "
            f"{', '.join(node.id for node in nodes)}. No node was touched."
        )
    return [node for node in nodes if not names or node.id in names]
