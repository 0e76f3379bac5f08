"""Why FleetService does not do what it was asked; nothing was changed by any of these."""

from __future__ import annotations

from collections.abc import Sequence


class FleetError(Exception):
    """The order was understood and not carried out."""


class NotFoundError(FleetError):
    """There is nothing of that name in the fleet."""


class BadRequestError(FleetError):
    """The request itself makes no sense; the message says which field and what is allowed."""


class RefusedError(FleetError):
    """The fleet's present state stands against it; `reasons` says what."""

    def __init__(self, reasons: Sequence[str]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = tuple(reasons)


class NotAllowedError(FleetError):
    """The caller may call this, but not for what it named."""


class FleetChangedError(FleetError):
    """The fleet changed in the meantime; ask again."""
