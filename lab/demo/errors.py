"""What can stop the demonstration before its report."""

from __future__ import annotations

from lab.errors import LabError


class DemoError(LabError):
    """A phase did not reach its end: what was tried, what was seen, where to look."""


class SubmissionBroken(DemoError):
    """The submission ended before every message was answered; it may be made again as it was."""
