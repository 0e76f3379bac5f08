"""Whether a connection may go out, and by which egress. Pure: the rules, the instant, an answer.

A refusal is told to Postfix as its greeting, so it stands in Postfix's log word for word; the agent
knows by the prefix that it is ours and not a receiver's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from node_agent.gateway.config import PROBE_ADDRESS, EgressConfig, GatewayConfig
from node_agent.gateway.lease import Lease
from node_agent.gateway.targets import target_refusal

# RFC 5321 section 4.5.3.1.5: a reply line has at most 512 octets with its CRLF.
_LINE_OCTETS = 510


class Stage(StrEnum):
    """How far a connection came before it was refused."""

    LEASE = "lease"
    SUSPENDED = "suspended"
    PROXY_CONNECT = "proxy-connect"
    PROXY_AUTH = "proxy-auth"
    PROXY_REQUEST = "proxy-request"
    TARGET_CONNECT = "target-connect"


@dataclass(frozen=True)
class Refusal:
    """No. `egress_id` is "-" where no egress has the source address."""

    egress_id: str
    stage: Stage
    reason: str

    def greeting(self) -> bytes:
        """Return the SMTP greeting that says so: one line, printable ASCII, with CRLF."""
        text = f"421 4.3.2 postfleet: {self.egress_id} {self.stage}: {self.reason}"
        printable = "".join(char if " " <= char <= "~" else "?" for char in text)
        return printable[:_LINE_OCTETS].encode("ascii") + b"\r\n"


@dataclass(frozen=True)
class Admitted:
    """Yes, through `egress` to `target` (address, port)."""

    egress: EgressConfig
    target: tuple[str, int]


@dataclass(frozen=True)
class Probe:
    """apply's probe: the gateway answers SMTP itself; nothing goes out, so no lease is needed."""

    egress: EgressConfig


@dataclass(frozen=True)
class Rules:
    """All that decides. Replaced as a whole, never changed."""

    config: GatewayConfig = field(default_factory=GatewayConfig)
    lease: Lease = field(default_factory=Lease)
    # Egress id to reason.
    suspensions: Mapping[str, str] = field(default_factory=dict)

    def may_open(self, egress_id: str, now_ns: int) -> Refusal | None:
        """Return why no connection of this egress may be opened now, or None: it may."""
        if reason := self.lease.refusal(egress_id, now_ns):
            return Refusal(egress_id, Stage.LEASE, reason)
        if egress_id in self.suspensions:
            reason = self.suspensions[egress_id] or "no reason was given"
            return Refusal(egress_id, Stage.SUSPENDED, reason)
        return None


def admit(
    rules: Rules, source: str, target: tuple[str, int] | None, now_ns: int
) -> Admitted | Probe | Refusal:
    """Decide about a connection from `source` that wanted to go to `target` (address, port).

    `target` None: the connection was not redirected by nftables, so it came from something that is
    not Postfix's transport.
    """
    egress = rules.config.by_surrogate.get(source)
    if egress is None:
        return Refusal("-", Stage.LEASE, f"no egress has the source address {source}")
    if target is None:
        return Refusal(egress.id, Stage.TARGET_CONNECT, "not redirected here, no target known")
    address, port = target
    if address == str(PROBE_ADDRESS):
        return Probe(egress)
    if refusal := rules.may_open(egress.id, now_ns):
        return refusal
    if reason := target_refusal(address, port, rules.config.allow_target_nets):
        return Refusal(egress.id, Stage.TARGET_CONNECT, reason)
    return Admitted(egress, target)
