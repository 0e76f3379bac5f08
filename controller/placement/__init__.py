"""Placement: which node holds which egress. Pure; see `place`."""

from __future__ import annotations

from controller.placement.model import (
    EgressView,
    LeftOut,
    Move,
    NodeState,
    NodeView,
    Plan,
    Policy,
    Snapshot,
)
from controller.placement.place import place

__all__ = [
    "EgressView",
    "LeftOut",
    "Move",
    "NodeState",
    "NodeView",
    "Plan",
    "Policy",
    "Snapshot",
    "place",
]
