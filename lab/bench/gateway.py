"""postfleet-gateway as it is measured: the real process, 20 egresses through Dante, a lease."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from lab.bench.exim_config import PASSWORD, USER
from lab.bench.ground import EGRESSES, PROXIES, SURROGATES, Ground, wait_for
from lab.network_namespace import Process
from lab.proxies_config import PORT
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient

_LEASE_S = 3600


class Gateway:
    """Started; its lease lasts longer than any measurement."""

    def __init__(self, ground: Ground) -> None:
        folder = ground.directory / "gateway"
        folder.mkdir()
        self._control = folder / "control.sock"
        config = folder / "egresses.json"
        config.write_text(json.dumps(_config()))
        self.process: Process = ground.namespace.popen(
            [sys.executable, "-m", "node_agent.gateway.main", "--config", str(config),
             "--control", str(self._control), "--metrics", "127.0.0.1:9602",
             "--marks", str(folder / "in-use")],
            log="gateway",
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        wait_for(self._granted, "the gateway does not answer: " + self.process.log_tail(), 20)

    def resident_mib(self) -> float:
        """Its resident memory (VmRSS of proc(5)) in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def open_connections(self) -> int:
        """How many connections it holds."""
        with BlockingGatewayClient(self._control) as client:
            return sum(egress.open_connections for egress in client.status().egresses)

    def _granted(self) -> bool:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        until_ns = now_ns + _LEASE_S * 1_000_000_000
        ids = [f"e{number}" for number in range(1, EGRESSES + 1)]
        try:
            with BlockingGatewayClient(self._control) as client:
                client.lease(1, until_ns, until_ns + 5_000_000_000, ids)
        except LocalError:
            return False
        return True


def _config() -> dict[str, object]:
    egresses = [
        {
            "id": f"e{number}",
            "surrogate_address": surrogate,
            "socks5": {"host": proxy, "port": PORT, "username": USER, "password": PASSWORD},
        }
        for number, (surrogate, proxy) in enumerate(zip(SURROGATES, PROXIES, strict=True), 1)
    ]
    return {"version": 1, "allow_target_nets": ["203.0.113.0/24"], "egresses": egresses}
