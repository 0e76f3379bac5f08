"""Which messages may have been in delivery when Postfix ended. Pure.

Not everything in the active queue: most of it waits there for its turn. A message can have left
only through a connection of its sender's egress, and only through one that carried at least about
as many octets as it has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from node_agent.apply.queue_file import QueueFile

# postfleet-apply's own probes reach the gateway and nobody else.
_PROBE = re.compile(r"probe@[a-z0-9-]+\.probe\.postfleet\.invalid")
# What Postfix stores may be a little more than what it sends (line ends of long lines), never this.
_STORED_TO_SENT = 0.75
# As the gateway says it (local.proto).
_UNKNOWN_OCTETS = 2**62


@dataclass(frozen=True, slots=True)
class Risk:
    """Connections of one egress that were, or may have been, open at the end.

    `connections` 0: known from the mark only. `most_octets` None: not known.
    """

    connections: int = 0
    most_octets: int | None = None

    @classmethod
    def told(cls, connections: int, most_octets: int) -> Risk:
        """As the gateway told it."""
        return cls(connections, most_octets if most_octets < _UNKNOWN_OCTETS else None)


@dataclass(frozen=True, slots=True)
class Senders:
    """Mailbox address to the egresses it had lately, of the last two generations."""

    egresses: Mapping[str, frozenset[str]]

    def of(self, sender: str) -> frozenset[str] | None:
        """The egresses a message of this envelope sender can have taken; None: any."""
        local_part, _, domain = sender.rpartition("@")
        mailbox = f"{local_part.partition('+')[0]}@{domain}".lower()
        return self.egresses.get(mailbox)


def why_held(
    file: QueueFile | None, senders: Senders, at_risk: Mapping[str, Risk], ended: str
) -> str | None:
    """Why this message must not be tried again by Postfix; None: it may.

    `file` None: it cannot be read. `ended`: how Postfix ended, for the words.
    """
    if file is None:
        return f"{ended}, and its queue file cannot be read: maybe sent" if at_risk else None
    if file.done or not file.sender or _PROBE.fullmatch(file.sender):
        return None
    own = senders.of(file.sender)
    for egress_id in sorted(at_risk.keys() if own is None else own & at_risk.keys()):
        risk = at_risk[egress_id]
        if risk.most_octets is not None and risk.most_octets < file.size * _STORED_TO_SENT:
            continue
        return f"{ended} while {_words(egress_id, risk)}: maybe sent"
    return None


def _words(egress_id: str, risk: Risk) -> str:
    if risk.connections == 0:
        return f"a connection of egress {egress_id} may have been open"
    were = "connection was" if risk.connections == 1 else "connections were"
    words = f"{risk.connections} {were} open for egress {egress_id}"
    if risk.most_octets is None:
        return words
    return f"{words} and had carried up to {risk.most_octets} octets"
