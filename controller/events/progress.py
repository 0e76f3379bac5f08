"""Moves messages on by what reports say of them, before anything of it is written. Pure.

However reports are stored together, the messages end as if each had been stored by itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from postfleet.v1 import node_pb2

from controller.events.fold import Told, fold
from controller.message_life import State

Place = tuple[str, str]
"""(node, message): of a message only the node that had it last is believed."""


class Progress:
    """What becomes of messages that are locked; `told`: as they are now."""

    def __init__(self, told: Mapping[Place, Told]) -> None:
        self._told = dict(told)
        self._changed: set[Place] = set()
        self._refunded: set[str] = set()
        self._sent: set[str] = set()

    def attempts(self, node_id: str, message_id: str) -> int:
        """Tries that reached a receiver, by what was said so far."""
        told = self._told.get((node_id, message_id))
        return told.attempts if told else 0

    def move_on(self, node_id: str, events: Iterable[node_pb2.MessageEvent]) -> None:
        """The next report's new events, in order."""
        by_message: dict[str, list[node_pb2.MessageEvent]] = defaultdict(list)
        for event in events:
            by_message[event.message_id].append(event)
        for message_id, its_events in by_message.items():
            place = node_id, message_id
            if place not in self._told:
                continue
            outcome = fold(self._told[place], its_events)
            self._told[place] = outcome.message
            if outcome.refund:
                self._refunded.add(message_id)
            if outcome.changed:
                self._changed.add(place)
                if outcome.message.state is State.SENT:
                    self._sent.add(message_id)

    @property
    def changed(self) -> list[Told]:
        """The messages that are not what they were, by id."""
        return sorted((self._told[place] for place in self._changed), key=lambda told: told.id)

    @property
    def refunded(self) -> list[str]:
        """Those that were never attempted and give their allowance back."""
        return sorted(self._refunded)

    @property
    def sent(self) -> list[str]:
        """Those that a receiver took."""
        return sorted(self._sent)
