"""What can go wrong in the receivers."""

from __future__ import annotations


class ReceiverError(Exception):
    """Anything this package raises on purpose."""


class RulesError(ReceiverError):
    """The rules file cannot be used; the rules that were in force stay in force."""


class RecordError(ReceiverError):
    """A record does not read as one: the file is damaged or of another version."""
