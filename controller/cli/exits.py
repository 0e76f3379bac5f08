"""Exit codes of every command; docs/reference/cli.md lists them from here."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script may rely on."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    UNREACHABLE = 3
    NOT_FOUND = 4
    NOT_ALLOWED = 5
    # The controller failed; its log says why.
    BROKEN = 6
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.REFUSED: "refused: the input has errors, the fleet's state forbids it, or a message was "
    "rejected; with --check: something differs",
    Exit.USAGE: "the command line is wrong",
    Exit.UNREACHABLE: "the controller, or its database, cannot be reached",
    Exit.NOT_FOUND: "there is nothing of that name",
    Exit.NOT_ALLOWED: "credentials are missing, wrong, or not enough",
    Exit.BROKEN: "the controller failed; its log says why",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}
