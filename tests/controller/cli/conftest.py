"""The program `postfleet` against a running controller: fixture `cli`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from inventory.load import load
from inventory.secrets import references
from tests.controller.served import Served, small_inventory
from tests.controller.served import served as served


@dataclass
class Ran:
    """How a run of the program ended."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """Its JSON output."""
        return json.loads(self.out)


@dataclass
class Cli:
    """Runs the program as an operator of `served` would."""

    served: Served
    folder: Path

    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "POSTFLEET_CONTROLLER": f"127.0.0.1:{self.served.controller.port}",
            "POSTFLEET_CREDENTIALS": str(self.served.state_dir / "operator"),
        }

    async def __call__(self, *arguments: str, stdin: bytes = b"", **more: str) -> Ran:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller.cli.main", *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, env=self.environment() | more,
        )  # fmt: skip
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        assert b"Traceback" not in err, err.decode()
        return Ran(process.returncode, out.decode(), err.decode())

    def inventory(self, text: str, name: str = "inventory.yaml") -> str:
        """Writes an inventory with all files its secrets need; gives its path."""
        file = self.folder / name
        file.write_text(text)
        for use in references(load(file).inventory):
            secret = self.folder / use.reference.removeprefix("file:")
            secret.parent.mkdir(exist_ok=True)
            secret.write_text("s3cret\n" if use.kind == "password" else "ssh-ed25519 AAAA\n")
        return str(file)

    async def apply(self, text: str | None = None) -> Ran:
        return await self("fleet", "apply", self.inventory(text or small_inventory()))


@pytest.fixture
def cli(served: Served, tmp_path: Path) -> Cli:
    folder = tmp_path / "home"
    folder.mkdir()
    return Cli(served, folder)
