"""What can stop the demonstration before its report."""

from __future__ import annotations

from lab.errors import LabError


class DemoError(LabError):
    """A phase did not reach its end: what was tried, what was seen, where to look."""
