"""What can go wrong with keys. None of these goes away by trying again."""

from __future__ import annotations


class KeysError(Exception):
    """A key, certificate or sealed secret cannot be used as it is."""


class UnusableStateError(KeysError):
    """The state directory's keys are missing in part, unreadable, or not those of this database."""


class RefusedRequestError(KeysError):
    """A certificate signing request that must not be signed; the message says why."""


class UnsealError(KeysError):
    """A sealed value does not open: other key, other row, or damaged."""


class UnknownIdentityError(KeysError):
    """The peer's certificate names nobody of this fleet."""
