"""What stops a measurement."""

from __future__ import annotations

from lab.errors import LabError


class BenchError(LabError):
    """Something could not be measured. Nothing is made up for it: its rows say so."""
