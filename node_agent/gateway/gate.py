"""The gate: every connection that goes out, from accept to its end, under one set of rules.

Holds the rules (configuration, lease, suspensions), the passages being made and the pumps that
carry. When the lease is over it cuts them all, by a timer, at the latest at the next event; the
pumps ask the fence by themselves, and the deadman stands behind both.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import structlog

from node_agent.gateway import lease
from node_agent.gateway.admission import Admitted, Probe, Refusal, Rules, Stage, admit
from node_agent.gateway.config import GatewayConfig
from node_agent.gateway.deadman import Deadman
from node_agent.gateway.farewell import Farewell
from node_agent.gateway.flow import Fence
from node_agent.gateway.lease import Lease
from node_agent.gateway.loop import Loop, Timer
from node_agent.gateway.marks import Marks
from node_agent.gateway.original_dst import original_destination
from node_agent.gateway.passage import Outside, Passage
from node_agent.gateway.probe_session import ProbeSession
from node_agent.gateway.proxy_manners import ProxyManners
from node_agent.gateway.pump import Pump
from node_agent.gateway.recent import UNKNOWN_OCTETS, Recent, Risk
from node_agent.gateway.resolver import Resolver
from node_agent.gateway.tally import Tally

log = structlog.get_logger(__name__)

_ACCEPT_PAUSE_S = 0.2
_SWEEP_S = 0.25
_MARKS_S = 1.0
# smtp(8) keeps an idle connection for reuse (2 s by default); a closed egress does not wait.
_CLOSED_IDLE_NS = 1_000_000_000
# How long a connection may live half-closed with nothing moving.
_HALF_CLOSED_IDLE_NS = 60_000_000_000

Destination = Callable[[socket.socket], tuple[str, int] | None]


class Gate:
    """One per process. `deadman` None: without the kernel's hand (tests in their own process)."""

    def __init__(
        self,
        loop: Loop,
        resolver: Resolver,
        deadman: Deadman | None,
        destination: Destination = original_destination,
        marks: Marks | None = None,
    ) -> None:
        self.rules = Rules()
        self.fence = Fence()
        self.tally = Tally()
        self.passages: dict[Passage, None] = {}
        self.pumps: set[Pump] = set()
        self.marks = marks or Marks(loop, None)
        self.recent = Recent()
        for egress_id in self.marks.marked:
            # Of an earlier process.
            self.recent.ended(egress_id, loop.clock(), UNKNOWN_OCTETS)
        self._loop = loop
        self._outside = Outside(
            loop, resolver, ProxyManners(), self._permit, self._opened, self._refused
        )
        self._deadman = deadman
        self._destination = destination
        self._lease_timers: tuple[Timer, ...] = ()
        loop.call_in(_SWEEP_S, self._sweep)
        loop.call_in(_MARKS_S, self._see_to_marks)

    # --- rules ---------------------------------------------------------------------------------

    def configure(self, config: GatewayConfig) -> None:
        """Put another configuration in force. Connections that are open stay."""
        self.rules = replace(self.rules, config=config)
        self._outside.manners.keep_only(e.socks5 for e in config.egresses if e.socks5)
        known = {egress.id for egress in config.egresses}
        for egress_id in self.tally.egresses.keys() - known:
            del self.tally.egresses[egress_id]

    def suspend(self, reasons: Mapping[str, str]) -> None:
        """Replace the list of suspended egresses."""
        self.rules = replace(self.rules, suspensions=dict(reasons))
        self._refuse_the_unpermitted()

    def close(self, egress_ids: Iterable[str]) -> None:
        """Open nothing more for these; what runs may end. Idle connections end in a second, those
        that are used again at once."""
        self.rules = replace(self.rules, lease=lease.close(self.rules.lease, egress_ids))
        self._refuse_the_unpermitted()
        self._let_the_closed_end()

    def hold(self, new: Lease) -> None:
        """Put another lease in force: move the fence, cut what it does not cover."""
        self.rules = replace(self.rules, lease=new)
        self.fence.cut_at_ns = new.cut_at_ns
        for timer in self._lease_timers:
            timer.cancel()
        if self._loop.clock() >= new.cut_at_ns:
            self._lease_over()
            return
        self._lease_timers = (
            self._loop.call_at(new.trusted_until_ns, self._refuse_the_unpermitted),
            self._loop.call_at(new.cut_at_ns, self._lease_over),
        )
        if self._deadman is not None:
            self._deadman.arm(new.kill_at_ns)
        for pump in [pump for pump in self.pumps if pump.label not in new.egress_ids]:
            self._cut(pump)
        self._refuse_the_unpermitted()
        self._let_the_closed_end()

    def open_connections(self) -> Counter[str]:
        """Return how many connections each egress has, those being made included."""
        count = Counter(pump.label for pump in self.pumps)
        count.update(passage.egress.id for passage in self.passages)
        return count

    def at_risk(self, since_ns: int) -> dict[str, Risk]:
        """Return what connections that were open at `since_ns` or later could have carried."""
        for pump in self.pumps:
            self._account(pump)
        return self.recent.at_risk(((p.label, p.carried_out) for p in self.pumps), since_ns)

    def _refuse_the_unpermitted(self) -> None:
        """End the passages that may not come to be open any more; a proxy may be slow."""
        for passage in list(self.passages):
            if refusal := self._permit(passage.egress.id):
                passage.refuse(refusal)

    def _let_the_closed_end(self) -> None:
        closed = self.rules.lease.closed
        for pump in self.pumps:
            if pump.label in closed:
                pump.let_be_the_last()

    def _lease_over(self) -> None:
        """Cut everything; the deadman may rest then."""
        if self.pumps or self.passages:
            log.warning("lease over", connections=len(self.pumps), epoch=self.rules.lease.epoch)
        for pump in list(self.pumps):
            self._cut(pump)
        self._refuse_the_unpermitted()
        if self._deadman is not None:
            self._deadman.disarm()

    def _cut(self, pump: Pump) -> None:
        self.tally.cut += 1
        pump.cut()

    # --- connections ---------------------------------------------------------------------------

    def listen(self, listener: socket.socket) -> None:
        """Serve the connections that nftables redirects to `listener`."""
        listener.setblocking(False)
        # Accepted sockets inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._loop.watch_level(listener, lambda _mask: self._accept(listener))

    def admit(self, down: socket.socket, source: str) -> None:
        """Decide about an accepted, non-blocking socket whose peer is `source`, and act."""
        decision = admit(self.rules, source, self._destination(down), self._loop.clock())
        if isinstance(decision, Refusal):
            self._refuse(down, decision)
        elif isinstance(decision, Probe):
            tally = self.tally.egresses[decision.egress.id]
            ProbeSession(self._loop, down, lambda nonce: setattr(tally, "last_probe", nonce))
        else:
            self._pass(down, decision)

    def admit_again(self, down: socket.socket) -> None:
        """Decide about a connection that an earlier process accepted and got nowhere with."""
        try:
            source, _port = down.getpeername()
        except OSError:
            down.close()
            return
        self.admit(down, source)

    def adopt(self, pump: Pump) -> None:
        """Let a pump carry that an earlier process has begun."""
        self.pumps.add(pump)
        pump.start()

    def adopt_from_before(self, pump: Pump) -> None:
        """The same for a pump of an earlier process, whose mark may be missing."""
        pump.carried_out = UNKNOWN_OCTETS
        self.marks.before_opening(pump.label, lambda _problem: None)
        self.adopt(pump)

    def new_pump(self, down: socket.socket, up: socket.socket, egress_id: str) -> Pump:
        """Return a pump of this gate that does not carry yet."""
        return Pump(self._loop, self.fence, down, up, self._ended, egress_id)

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection; the loop calls again while there are more."""
        try:
            down, (source, _port) = listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:
            # Out of descriptors or memory. The others wait in the kernel's queue meanwhile.
            log.error("accept failed", error=str(error))
            self._loop.forget(listener)
            self._loop.call_in(_ACCEPT_PAUSE_S, lambda: self.listen(listener))
            return
        down.setblocking(False)
        self.admit(down, source)

    def _pass(self, down: socket.socket, way: Admitted) -> None:
        passage = Passage(self._outside, down, way)
        self.passages[passage] = None
        self.marks.before_opening(passage.egress.id, lambda problem: self._noted(passage, problem))

    def _noted(self, passage: Passage, problem: str) -> None:
        """The disk knows that this egress is in use, or cannot be told."""
        if passage not in self.passages:
            return
        if problem:
            passage.refuse(Refusal(passage.egress.id, Stage.LEASE, problem))
        else:
            passage.start()

    def _permit(self, egress_id: str) -> Refusal | None:
        return self.rules.may_open(egress_id, self._loop.clock())

    def _opened(self, passage: Passage, up: socket.socket, early: bytes) -> None:
        del self.passages[passage]
        seconds = (self._loop.clock() - passage.started_ns) / 1e9
        self.tally.connected(passage.egress.id, seconds)
        pump = self.new_pump(passage.down, up, passage.egress.id)
        pump.from_up.pending = early
        self.adopt(pump)

    def _refused(self, passage: Passage, refusal: Refusal) -> None:
        self.passages.pop(passage, None)
        self._refuse(passage.down, refusal)

    def _refuse(self, down: socket.socket, refusal: Refusal) -> None:
        self.tally.refusal(refusal.egress_id, refusal.stage)
        Farewell(self._loop, down, refusal.greeting())

    def _ended(self, pump: Pump) -> None:
        self.pumps.discard(pump)
        self._account(pump)
        self.recent.ended(pump.label, self._loop.clock(), pump.carried_out)

    def _account(self, pump: Pump) -> None:
        pump.carried_out += pump.from_down.octets
        self.tally.octets_out += pump.from_down.octets
        self.tally.octets_in += pump.from_up.octets
        pump.from_down.octets = pump.from_up.octets = 0

    # --- time ----------------------------------------------------------------------------------

    def _sweep(self) -> None:
        self._loop.call_in(_SWEEP_S, self._sweep)
        now_ns = self._loop.clock()
        timeout_ms = self.rules.config.connect_timeout_ms
        for passage in list(self.passages):
            # In the order of their beginning.
            if now_ns - passage.started_ns < timeout_ms * 1_000_000:
                break
            passage.give_up(timeout_ms / 1000)
        closed = self.rules.lease.closed
        for pump in list(self.pumps):
            self._account(pump)
            idle_ns = pump.idle_ns(now_ns)
            if pump.half_closed and idle_ns > _HALF_CLOSED_IDLE_NS:
                pump.cut()
            elif pump.label in closed and idle_ns > _CLOSED_IDLE_NS and pump.between_transactions:
                pump.hang_up()

    def _see_to_marks(self) -> None:
        self._loop.call_in(_MARKS_S, self._see_to_marks)
        self.marks.sync_if_used()
        now_ns = self._loop.clock()
        in_use = self.open_connections()
        self.marks.drop(
            [e for e in self.marks.marked if not in_use[e] and not self.recent.lately(e, now_ns)]
        )
