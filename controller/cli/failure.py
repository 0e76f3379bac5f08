"""Why a command ends without having done what it was asked; never shown as a traceback."""

from __future__ import annotations

from controller.cli.exits import Exit


class Failure(Exception):
    """Its text says what was tried, on what, what still holds, and what to do next."""

    def __init__(self, exit_code: Exit, message: str) -> None:
        super().__init__(message)
        self.exit_code = exit_code
