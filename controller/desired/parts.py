"""What a spec is made of, free of database and protocol types."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class EgressPart:
    """An egress of the node with its mailboxes; `password` is open: never log one of these."""

    id: str
    client_id: str
    public_ip: str
    helo_name: str
    kind: str
    host: str
    port: int
    username: str
    password: str = field(repr=False)
    surrogate_index: int
    mailboxes: tuple[str, ...]


@dataclass(frozen=True)
class DkimPart:
    """A domain's signing key, PKCS#8 PEM, open."""

    domain: str
    selector: str
    private_key_pem: str = field(repr=False)


@dataclass(frozen=True)
class NodeParts:
    """Everything of one node, as one transaction saw it."""

    node_id: str
    hostname: str
    generation: int
    egresses: tuple[EgressPart, ...]
    dkim_keys: tuple[DkimPart, ...]
