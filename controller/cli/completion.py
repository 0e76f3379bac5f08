"""Completes ids in the shell by asking the controller, within a second, and without a word if not.

`postfleet --install-completion` switches completion on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_MOST = 50
_TIMEOUT_S = 1.0


def complete_node(incomplete: str) -> list[str]:
    """Ids of nodes."""
    return _complete("ListNodes", "nodes", "id", incomplete)


def complete_egress(incomplete: str) -> list[str]:
    """Ids of egresses."""
    return _complete("ListEgresses", "egresses", "id", incomplete)


def complete_mailbox(incomplete: str) -> list[str]:
    """Addresses of mailboxes."""
    return _complete("ListMailboxes", "mailboxes", "address", incomplete)


def complete_domain(incomplete: str) -> list[str]:
    """Names of domains."""
    return _complete("ListDomains", "domains", "name", incomplete)


def complete_client(incomplete: str) -> list[str]:
    """Ids of clients, as far as they have domains."""
    return sorted(set(_complete("ListDomains", "domains", "client_id", incomplete)))


def _complete(method: str, items: str, field: str, incomplete: str) -> list[str]:
    try:
        return list(_rows(method, items, field, incomplete))
    except Exception:
        # A shell that waits for a completion is no place for complaints.
        return []


def _rows(method: str, items: str, field: str, incomplete: str) -> Iterator[str]:
    from postfleet.v1 import fleet_pb2

    from controller.cli.command import DEFAULT_CONTROLLER, Session
    from controller.cli.connection import connected

    folder = os.environ.get("POSTFLEET_CREDENTIALS", "~/.config/postfleet")
    controller = os.environ.get("POSTFLEET_CONTROLLER", DEFAULT_CONTROLLER)
    request = fleet_pb2.ListRequest(page_size=1000)
    if field != "client_id":
        request.filter, request.page_size = incomplete, _MOST
    with connected(Session(controller, Path(folder).expanduser(), json=False)) as connection:
        reply = connection.ask(method, request, timeout_s=_TIMEOUT_S)
    for row in getattr(reply, items):
        value = getattr(row, field)
        if value.startswith(incomplete):
            yield value
