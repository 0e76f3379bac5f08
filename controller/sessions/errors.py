"""Why a session is not opened or ends."""

from __future__ import annotations


class SessionError(Exception):
    """A session cannot go on; the message is what the node is told."""


class SessionRefused(SessionError):
    """The caller may not speak for this node; audited. Trying again does not help."""


class SessionSuperseded(SessionError):
    """A newer session speaks for the node."""


class ControllerStops(SessionError):
    """This controller was asked to stop; the node finds it, or another one, by dialling again."""


class SessionBroken(SessionError):
    """The node said what cannot stand here, or nothing for too long; it may dial again."""
