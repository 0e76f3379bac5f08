"""Reads uv.lock: which wheels a node of a given Python needs, each with its SHA-256. Pure.

It follows the dependencies of `postfleet[node-agent]` through the lock (uv's format, version 1),
evaluates markers for the node (PEP 508), and picks of each package the wheel that fits best
(PEP 425). What is not a wheel, or has no hash, is refused: nodes compile nothing.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.markers import Marker
from packaging.tags import Tag, cpython_tags
from packaging.tags import compatible_tags as generic_tags
from packaging.utils import parse_wheel_filename

from provisioning.errors import LockError

PROJECT = "postfleet"
EXTRA = "node-agent"
# glibc of Debian 12 is 2.36: every manylinux tag up to it runs there and on what is newer.
_NEWEST_GLIBC_MINOR = 36


@dataclass(frozen=True)
class Target:
    """The Python of a Debian release on amd64: (3, 11) on Debian 12, (3, 13) on Debian 13."""

    python: tuple[int, int]

    @property
    def name(self) -> str:
        """cp311, cp313."""
        return f"cp{self.python[0]}{self.python[1]}"

    @property
    def tags(self) -> list[Tag]:
        """Wheel tags that run there, best first."""
        platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(_NEWEST_GLIBC_MINOR, 4, -1)]
        platforms += ["manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64"]
        platforms += ["linux_x86_64"]
        own = cpython_tags(self.python, [self.name], platforms)
        return [*own, *generic_tags(self.python, self.name, platforms)]

    @property
    def markers(self) -> dict[str, str]:
        """The marker environment (PEP 508)."""
        version = f"{self.python[0]}.{self.python[1]}"
        return {
            "implementation_name": "cpython",
            "implementation_version": f"{version}.0",
            "os_name": "posix",
            "platform_machine": "x86_64",
            "platform_python_implementation": "CPython",
            "platform_release": "",
            "platform_system": "Linux",
            "platform_version": "",
            "python_full_version": f"{version}.0",
            "python_version": version,
            "sys_platform": "linux",
            "extra": "",
        }


@dataclass(frozen=True, order=True)
class LockedWheel:
    """One wheel by the lock. `sha256` in hex."""

    name: str
    version: str
    filename: str
    sha256: str


TARGETS = {"12": Target((3, 11)), "13": Target((3, 13))}
"""Debian's major version -> its Python."""


def wheels(lock_text: str, target: Target, extra: str = EXTRA) -> tuple[LockedWheel, ...]:
    """All wheels that the project's `extra` needs on the target, by name; not the project's own.

    Raises LockError naming the package that cannot be had.
    """
    packages: dict[str, list[dict[str, Any]]] = {}
    for package in tomllib.loads(lock_text)["package"]:
        packages.setdefault(package["name"], []).append(package)
    names = {name for name, _ in _closure(packages, target, extra)} - {PROJECT}
    return tuple(sorted(_wheel(_one(packages, name, target), target) for name in names))


def tool_wheel(lock_text: str, name: str, target: Target) -> LockedWheel:
    """The locked wheel of one package by itself (pip, which installs the others)."""
    found = [p for p in tomllib.loads(lock_text)["package"] if p["name"] == name]
    if not found:
        raise LockError(f"uv.lock does not hold {name}; run `uv lock` in the checkout")
    return _wheel(found[0], target)


def _closure(
    packages: dict[str, list[dict[str, Any]]], target: Target, extra: str
) -> set[tuple[str, str]]:
    """Every (package, extra) reachable from the project; extra is "" for the package itself."""
    found: set[tuple[str, str]] = set()
    waiting = [(PROJECT, ""), (PROJECT, extra)]
    while waiting:
        item = waiting.pop()
        if item in found:
            continue
        found.add(item)
        for dependency in _dependencies(_one(packages, item[0], target), item[1]):
            marker = dependency.get("marker")
            if marker and not Marker(marker).evaluate(target.markers):
                continue
            extras = dependency.get("extra", [])
            waiting += [(dependency["name"], part) for part in ("", *extras)]
    return found


def _dependencies(package: dict[str, Any], extra: str) -> Iterator[dict[str, Any]]:
    if extra:
        yield from package.get("optional-dependencies", {}).get(extra, [])
    else:
        yield from package.get("dependencies", [])


def _one(packages: dict[str, list[dict[str, Any]]], name: str, target: Target) -> dict[str, Any]:
    """The package of that name; where the lock forked, the version for this Python."""
    found = [
        package
        for package in packages.get(name, [])
        if not package.get("resolution-markers")
        or any(Marker(m).evaluate(target.markers) for m in package["resolution-markers"])
    ]
    if len(found) != 1:
        raise LockError(
            f"uv.lock holds {len(found)} versions of {name} for {target.name}; exactly one is "
            "needed. Run `uv lock` in the checkout"
        )
    return found[0]


def _wheel(package: dict[str, Any], target: Target) -> LockedWheel:
    order = {tag: rank for rank, tag in enumerate(target.tags)}
    ranked = []
    for wheel in package.get("wheels", []):
        filename = wheel["url"].rpartition("/")[2]
        ranks = [order[tag] for tag in parse_wheel_filename(filename)[3] if tag in order]
        if ranks and wheel.get("hash", "").startswith("sha256:"):
            ranked.append((min(ranks), filename, wheel["hash"].removeprefix("sha256:")))
    if not ranked:
        raise LockError(
            f"uv.lock has no hashed wheel of {package['name']} {package['version']} for "
            f"{target.name} on manylinux x86_64; nodes compile nothing, so choose a version that "
            "has one and run `uv lock`"
        )
    _, filename, sha256 = min(ranked)
    return LockedWheel(package["name"], package["version"], filename, sha256)
