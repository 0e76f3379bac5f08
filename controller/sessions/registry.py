"""The sessions open in this process. Which session speaks for a node fleet-wide is in `lease`."""

from __future__ import annotations

from collections.abc import Iterator

from controller.sessions.errors import SessionSuperseded
from controller.sessions.session import NodeSession


class Registry:
    """At most one session for each node."""

    def __init__(self) -> None:
        self._sessions: dict[str, NodeSession] = {}

    def enter(self, session: NodeSession) -> None:
        """A new session; ends the node's older one, if there is any."""
        older = self._sessions.get(session.node_id)
        self._sessions[session.node_id] = session
        if older is not None:
            older.end(SessionSuperseded(f"a newer session of node {session.node_id} began"))

    def leave(self, session: NodeSession) -> None:
        if self._sessions.get(session.node_id) is session:
            del self._sessions[session.node_id]

    def get(self, node_id: str) -> NodeSession | None:
        return self._sessions.get(node_id)

    def __iter__(self) -> Iterator[NodeSession]:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)
