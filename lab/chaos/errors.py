"""What can end a scenario before its judgement."""

from __future__ import annotations

from lab.errors import LabError


class ChaosError(LabError):
    """The fleet could not be brought where a scenario begins, or the load could not run."""


class StepLate(LabError):
    """A step of a scenario was not done by its deadline: what was waited for, and what was seen."""
