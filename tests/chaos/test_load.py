"""The load: whose turn it is."""

from __future__ import annotations

from lab.chaos.load import in_turn
from lab.demo.adapt import Sender


def test_egresses_take_turns_and_every_mailbox_sends() -> None:
    a, b, c, d = (Sender(f"{name}@a.example", "north") for name in "abcd")
    assert in_turn([("e1", a), ("e1", b), ("e1", c), ("e2", d)]) == [a, d, b, c]


def test_no_egress_always_has_the_same_place_in_a_round() -> None:
    senders = [(f"e{n}", Sender(f"{m}@e{n}.test", "north")) for n in range(4) for m in range(8)]
    order = [sender.mailbox.partition("@")[2] for sender in in_turn(senders)]
    places = {order.index("e2.test", begin) - begin for begin in range(0, 32, 4)}
    assert places == {0, 1, 2, 3}
