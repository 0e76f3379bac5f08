"""The version this agent tells: the distribution's."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """As in the wheel; "unknown" where the code runs uninstalled."""
    try:
        return metadata.version("postfleet")
    except metadata.PackageNotFoundError:
        return "unknown"
