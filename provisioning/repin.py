"""Where a rebuilt machine's new host key and address have to stand, and what is not there yet.

A key in a file that the inventory refers to (`file:`) is written there. The inventory itself is the
operator's: what has to change in it is said, word for word, and looked for afterwards.
"""

from __future__ import annotations

from dataclasses import replace

from inventory.schema import Node
from provisioning.errors import ProvisioningError
from provisioning.machine import Access
from provisioning.options import Options, nodes_of


def write_key(node: Node, key: str, options: Options) -> str:
    """Put the key into the file that the inventory names; returns that file, "" where none is."""
    if not node.host_key.startswith("file:"):
        return ""
    file = options.secrets_folder / node.host_key.removeprefix("file:")
    new = file.with_name(f".{file.name}.new")
    try:
        new.write_text(f"{key}\n")
        new.replace(file)
    except OSError as error:
        raise ProvisioningError(
            f"{node.id}: cannot write its new host key to {file}: {error.strerror}. Nothing else "
            f"was done since the machine was reinstalled; write it there yourself: {key}"
        ) from error
    return str(file)


def still_to_write(node_id: str, access: Access, options: Options) -> list[str]:
    """What in the inventory differs from the machine at `access`, as orders to the operator."""
    try:
        ((node, written),) = nodes_of(_only(options, node_id))
    except ProvisioningError as error:
        return [f"mend {options.inventory}: {error}"]
    todo = []
    if written.host != access.host:
        todo.append(
            f"in {options.inventory}, node {node_id}: write `address: {access.host}` instead of "
            f"`address: {written.host}`"
        )
    if written.host_key != access.host_key:
        todo.append(_key_order(node, access.host_key, options))
    return todo


def key_as_written(node_id: str, options: Options) -> Access:
    """The way to the node as the inventory has it at this moment. Raises ProvisioningError."""
    ((_, access),) = nodes_of(_only(options, node_id))
    return access


def _only(options: Options, node_id: str) -> Options:
    return replace(options, node=node_id)


def _key_order(node: Node, key: str, options: Options) -> str:
    if node.host_key.startswith("env:"):
        return f"set {node.host_key.removeprefix('env:')}={key!r}"
    if node.host_key.startswith("file:"):
        file = options.secrets_folder / node.host_key.removeprefix("file:")
        return f"write into {file}: {key}"
    return f"in {options.inventory}, node {node.id}: write `host_key: {key}`"
