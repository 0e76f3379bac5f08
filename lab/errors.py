"""What can go wrong in the lab. Each message says what was tried, what holds, what to do."""

from __future__ import annotations


class LabError(Exception):
    """Something the lab could not do; the base of all its errors."""


class ImageError(LabError):
    """A base image could not be made; the cache holds what it held before."""


class NetworkError(LabError):
    """A namespace, link, route or rule could not be made; `lab down` removes what was."""


class NodeError(LabError):
    """A node did not do what it was told (boot, run a command, power off)."""


class FaultImpossible(LabError):
    """This machine cannot produce the fault; scenarios report that instead of passing."""
