"""What one gateway process tells the next about the connections it leaves behind. Pure.

JSON in a memfd (handover.py). The sockets themselves travel beside it and are named by cookie.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node_agent.gateway.errors import HandoverError
from node_agent.gateway.lease import Lease

# Raise it when the shape changes, and go on reading the one before: a deploy is a restart.
_FORMAT = 1


@dataclass(frozen=True)
class Side:
    """One direction of a connection."""

    pending: bytes
    eof: bool
    ended: bool


@dataclass(frozen=True)
class Carried:
    """A connection that carries: the cookies of its sockets."""

    egress_id: str
    down: int
    up: int
    from_down: Side
    from_up: Side


@dataclass(frozen=True)
class State:
    """All that the next process must know."""

    lease: Lease
    suspensions: Mapping[str, str]
    carried: tuple[Carried, ...]
    # Cookies of connections from Postfix that wait for their way out.
    waiting: tuple[int, ...]


def encode(state: State) -> bytes:
    """Return `state` as JSON. `decode(encode(state)) == state`."""
    lease = state.lease
    return json.dumps(
        {
            "format": _FORMAT,
            "lease": {
                "epoch": lease.epoch,
                "trusted_until_ns": lease.trusted_until_ns,
                "expires_at_ns": lease.expires_at_ns,
                "egress_ids": sorted(lease.egress_ids),
                "closed": sorted(lease.closed),
            },
            "suspensions": dict(state.suspensions),
            "carried": [
                {
                    "egress_id": item.egress_id,
                    "down": item.down,
                    "up": item.up,
                    "from_down": _encode_side(item.from_down),
                    "from_up": _encode_side(item.from_up),
                }
                for item in state.carried
            ],
            "waiting": list(state.waiting),
        }
    ).encode()


def decode(data: bytes) -> State:
    """Return the state in `data`. Raises HandoverError for anything this version did not write."""
    try:
        raw = json.loads(data)
        if raw["format"] != _FORMAT:
            raise HandoverError(f"handover of format {raw['format']}, this version reads {_FORMAT}")
        lease = raw["lease"]
        return State(
            lease=Lease(
                int(lease["epoch"]),
                int(lease["trusted_until_ns"]),
                int(lease["expires_at_ns"]),
                frozenset(lease["egress_ids"]),
                frozenset(lease["closed"]),
            ),
            suspensions=dict(raw["suspensions"]),
            carried=tuple(
                Carried(
                    str(item["egress_id"]),
                    int(item["down"]),
                    int(item["up"]),
                    _decode_side(item["from_down"]),
                    _decode_side(item["from_up"]),
                )
                for item in raw["carried"]
            ),
            waiting=tuple(int(cookie) for cookie in raw["waiting"]),
        )
    except (ValueError, KeyError, TypeError, binascii.Error) as error:
        raise HandoverError(f"handover cannot be read: {error}") from error


def _encode_side(side: Side) -> dict[str, Any]:
    pending = base64.b64encode(side.pending).decode("ascii")
    return {"pending": pending, "eof": side.eof, "ended": side.ended}


def _decode_side(raw: dict[str, Any]) -> Side:
    pending = base64.b64decode(raw["pending"], validate=True)
    return Side(pending, bool(raw["eof"]), bool(raw["ended"]))
