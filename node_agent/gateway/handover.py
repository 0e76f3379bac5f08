"""How running connections outlive a restart of the gateway: by systemd's file descriptor store.

At SIGTERM the gateway stops carrying, writes what it knows into a memfd and gives that with all
sockets to systemd; the next process takes them up with the same egress, the same octets pending and
the same lease. Sockets are told apart by their SO_COOKIE. A connection that still is on its way out
is handed over as it came from Postfix and begins again; refusals and probes end with the process.
Before the new process carries an octet, systemd must have let go of its copies: else a second crash
would hand out connections whose pending octets had gone out already.

The unit needs Type=notify, NotifyAccess=main, FileDescriptorStoreMax (two for each connection, and
one), Restart=always, and its listeners from a .socket unit.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable

import structlog

from node_agent.gateway import systemd
from node_agent.gateway.errors import HandoverError
from node_agent.gateway.flow import Flow
from node_agent.gateway.gate import Gate
from node_agent.gateway.handover_state import Carried, Side, State, decode, encode

log = structlog.get_logger(__name__)

STORE_NAME = "postfleet"
# asm-generic/socket.h; unique for each socket of the network namespace, as long as it is up.
_SO_COOKIE = 57


def hand_over(gate: Gate) -> int:
    """Give all that runs to systemd and wait until it has it. Return how many connections.

    The gate carries nothing afterwards; the process is to exit.
    """
    sockets: list[socket.socket] = []
    carried: list[Carried] = []
    for pump in list(gate.pumps):
        pump.release()
        carried.append(
            Carried(
                pump.label,
                _cookie(pump.down),
                _cookie(pump.up),
                _side(pump.from_down),
                _side(pump.from_up),
            )
        )
        sockets += (pump.down, pump.up)
    waiting: list[int] = []
    for passage in list(gate.passages):
        passage.abandon()
        waiting.append(_cookie(passage.down))
        sockets.append(passage.down)
    state = State(gate.rules.lease, gate.rules.suspensions, tuple(carried), tuple(waiting))
    memory = os.memfd_create("postfleet-handover", os.MFD_CLOEXEC)
    with os.fdopen(memory, "wb") as file:
        file.write(encode(state))
        file.flush()
        systemd.store(STORE_NAME, [sock.fileno() for sock in sockets])
        # Last: without it the sockets are nobody's, and the next process closes them.
        systemd.store(STORE_NAME, [memory])
        systemd.barrier()
    return len(carried) + len(waiting)


def take_over(gate: Gate, fds: Iterable[int]) -> int:
    """Take up what an earlier process stored; return how many connections.

    What cannot be taken up is cut. To be called when the configuration is in force, before the
    loop runs.
    """
    sockets, memory = _sort(fds)
    try:
        systemd.unstore(STORE_NAME)
        systemd.barrier()
        state = decode(memory) if memory is not None else None
    except (HandoverError, OSError) as error:
        log.error("handover lost", error=str(error), sockets=len(sockets))
        state = None
    if state is None:
        _close(sockets.values())
        return 0
    gate.suspend(state.suspensions)
    taken = 0
    for item in state.carried:
        down, up = sockets.pop(item.down, None), sockets.pop(item.up, None)
        if down is None or up is None:
            _close(sock for sock in (down, up) if sock is not None)
            continue
        pump = gate.new_pump(down, up, item.egress_id)
        _restore(pump.from_down, item.from_down)
        _restore(pump.from_up, item.from_up)
        # Not known: a final dot may be on its way.
        pump.last_from_up = False
        gate.adopt_from_before(pump)
        taken += 1
    # After the pumps are there and before they move: it cuts what the lease does not cover.
    gate.hold(state.lease)
    for cookie in state.waiting:
        if down := sockets.pop(cookie, None):
            gate.admit_again(down)
            taken += 1
    _close(sockets.values())
    return taken


def _sort(fds: Iterable[int]) -> tuple[dict[int, socket.socket], bytes | None]:
    sockets: dict[int, socket.socket] = {}
    memory: bytes | None = None
    for fd in fds:
        try:
            sock = socket.socket(fileno=fd)
        except OSError:
            with os.fdopen(fd, "rb") as file:
                file.seek(0)
                memory = file.read()
            continue
        sock.setblocking(False)
        sockets[_cookie(sock)] = sock
    return sockets, memory


def _cookie(sock: socket.socket) -> int:
    (cookie,) = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8))
    return int(cookie)


def _close(sockets: Iterable[socket.socket]) -> None:
    for sock in sockets:
        sock.close()


def _side(flow: Flow) -> Side:
    return Side(flow.pending, flow.eof, flow.ended)


def _restore(flow: Flow, side: Side) -> None:
    flow.pending, flow.eof, flow.ended = side.pending, side.eof, side.ended
