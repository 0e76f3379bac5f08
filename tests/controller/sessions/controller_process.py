"""A controller as a process of its own, to be killed."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ControllerProcess:
    """Start it, kill it, start it again; always on the same port."""

    def __init__(self, state_dir: Path, dsn: str | None) -> None:
        self.port = free_port()
        self.target = f"127.0.0.1:{self.port}"
        self._arguments = [
            sys.executable, "-m", "controller.main", "--state-dir", str(state_dir),
            "--listen", self.target, "--join-grace", "30", "--dns", "127.0.0.1:9",
            *(("--dsn", dsn) if dsn else ()),
        ]  # fmt: skip
        self._process: asyncio.subprocess.Process | None = None
        self._log = state_dir / f"controller-{self.port}.log"

    async def start(self) -> None:
        """Returns when it accepts connections."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments, stdout=log, stderr=log
            )
        async with asyncio.timeout(150):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    if self._process.returncode is not None:
                        raise RuntimeError(f"exit code {self._process.returncode}") from None
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return

    async def stop(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Ends it by a signal; gives the exit code."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await self._process.wait()
