"""Why a controller does not start."""

from __future__ import annotations


class ServingError(Exception):
    """The controller cannot serve; nothing was changed in the database."""


class AddressInUse(ServingError):
    """An address to listen on cannot be had."""


class ForeignKeys(ServingError):
    """The state directory's keys are not those of this database."""
