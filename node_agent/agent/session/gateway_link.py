"""Keeps the gateway told: suspensions first, then the lease, at each grant and after each failure.

The gateway fences by itself; when it cannot be reached nothing is handed over, because mail would
only be deferred.
"""

from __future__ import annotations

import asyncio

import structlog
from postfleet.v1 import local_pb2

from node_agent.agent import clock
from node_agent.agent.lease import Lease
from node_agent.agent.right import Right
from node_agent.local.errors import LocalError
from node_agent.local.gateway_client import GatewayClient

RETRY_S = 1.0

_log = structlog.get_logger("gateway-link")


class GatewayLink:
    """The only user of the gateway's control socket in the agent."""

    def __init__(self, client: GatewayClient, right: Right) -> None:
        self._client = client
        self._right = right
        self._changed = asyncio.Event()
        self.status = local_pb2.GatewayStatus()

    def changed(self) -> None:
        """Lease, suspensions or releases changed: tell."""
        self._changed.set()

    async def run(self) -> None:
        """Tell for ever; a suspension that ends by itself is told when it ends."""
        while True:
            told = await self.tell()
            timeout_s = self._next_look_s() if told else RETRY_S
            try:
                await asyncio.wait_for(self._changed.wait(), timeout_s)
            except TimeoutError:
                continue
            finally:
                self._changed.clear()

    async def tell(self) -> bool:
        """Tell once; False where the gateway did not take it."""
        right, lease = self._right, self._right.lease
        try:
            self.status = await self._client.suspend(right.closed_egresses(clock.wall_ms()))
            if lease is not None:
                self.status = await self._client.lease(
                    lease.epoch,
                    lease.trusted_until_ns,
                    lease.expires_at_ns,
                    await self._to_name(lease),
                )
        except LocalError as error:
            if right.gateway_knows or lease is not None:
                _log.warning("gateway-not-told", error=str(error))
            right.gateway_knows = False
            return False
        right.gateway_knows = lease is not None
        return True

    async def _to_name(self, lease: Lease) -> list[str]:
        """Return the egresses that the gateway's lease names.

        Not those that were given back; but one that still has a connection open is closed and named
        until that has ended: the gateway cuts what its lease does not name, also between the final
        dot and its answer.
        """
        given_back = frozenset(
            e for e in lease.egress_ids if self._right.is_released(e, lease.epoch)
        )
        running = await self.close(given_back) if given_back else given_back
        return sorted(lease.egress_ids - given_back | running)

    async def close(self, egress_ids: frozenset[str]) -> frozenset[str]:
        """Have them closed; return those with a connection still open. Raises LocalError."""
        self.status = await self._client.close_egresses(egress_ids)
        return self._open(egress_ids)

    async def still_open(self, egress_ids: frozenset[str]) -> frozenset[str]:
        """Return those with a connection that is open now. Raises LocalError."""
        self.status = await self._client.status()
        return self._open(egress_ids)

    def _open(self, egress_ids: frozenset[str]) -> frozenset[str]:
        return egress_ids & {e.egress_id for e in self.status.egresses if e.open_connections}

    def _next_look_s(self) -> float | None:
        now_ms = clock.wall_ms()
        end_ms = self._right.suspensions.next_end_ms(now_ms)
        return None if end_ms is None else max(0.05, (end_ms - now_ms) / 1000 + 0.05)
