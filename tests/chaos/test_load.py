"""The load: whose turn it is."""

from __future__ import annotations

from lab.chaos.load import in_turn
from lab.demo.adapt import Sender


def test_egresses_take_turns_and_every_mailbox_sends() -> None:
    a, b, c, d = (Sender(f"{name}@a.example", "north") for name in "abcd")
    assert in_turn([("e1", a), ("e1", b), ("e1", c), ("e2", d)]) == [a, d, b, c]
