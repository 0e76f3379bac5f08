"""How long the controller keeps mail that has ended. What an operator may write."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from inventory.fields import Count, Strict


class Retention(Strict):
    """How long the controller keeps mail that has ended (sent, bounced, expired, suppressed or
    cancelled). What is under way, uncertain, or awaited by a follow-up is kept however old."""

    content_days: Annotated[Count, Field(ge=1, le=3650)] = 30
    """Days after its end for which a message's content is kept."""
    message_days: Annotated[Count, Field(ge=31, le=3650)] = 180
    """Days for which the message and its history are: as long, `postfleet why` knows of it, and a
    second submission under its key is a duplicate."""
