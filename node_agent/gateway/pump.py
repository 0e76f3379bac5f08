"""Carries octets between Postfix and the receiver, both ways, as long as the lease allows.

Each direction holds at most one buffer of octets that the other side did not take yet; while it
does, nothing more is read (back-pressure). An end of file is passed on as one, so half-closed
connections work. Before every send the clock is compared with the fence: a process that was frozen
or stalled beyond the lease forwards nothing when it comes back. (Between that comparison and the
send, deadman.py holds.) Knows nothing of SOCKS, egresses, and of SMTP only how a transaction
begins, for those that are to be the last.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Callable

from node_agent.gateway.flow import Fence, Flow
from node_agent.gateway.loop import Loop

_BUFFER_OCTETS = 64 * 1024
# After so many full buffers from one socket the others have their turn.
_TURN = 8
# close(2) then drops what is unsent and resets: nothing may go out after a cut or a kill.
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_ORDERLY_CLOSE = struct.pack("ii", 0, 0)
_BROKEN = select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP
# What the kernel tells of a healthy socket that has something to read.
_PLAIN = select.EPOLLIN | select.EPOLLOUT

# How smtp(8) begins with the next message on an open connection: MAIL FROM, and before that RSET
# where the connection is out of the cache. Seen in plain text only, but with TLS smtp(8) reuses
# none (smtp_tls_connection_reuse). A message's content never begins with one of these.
_BEGINNINGS = (b"RSET\r\n", b"MAIL FROM:")
_LONGEST_BEGINNING = max(map(len, _BEGINNINGS))

_buffer = bytearray(_BUFFER_OCTETS)
_view = memoryview(_buffer)


class Pump:
    """Two connected, non-blocking sockets: `down` (Postfix) and `up` (towards the receiver).

    `on_end(pump)` is called once, when both ended or it was cut; the sockets are closed then.
    `label` is whatever the owner wants to find again (the egress id).
    """

    __slots__ = (
        "_clock",
        "_fence",
        "_loop",
        "_on_end",
        "carried_out",
        "down",
        "from_down",
        "from_up",
        "label",
        "last_from_up",
        "moved_ns",
        "over",
        "up",
    )

    def __init__(
        self,
        loop: Loop,
        fence: Fence,
        down: socket.socket,
        up: socket.socket,
        on_end: Callable[[Pump], None],
        label: str = "",
    ) -> None:
        self._loop = loop
        self._clock = loop.clock
        self._fence = fence
        self._on_end = on_end
        self.down = down
        self.up = up
        self.from_down = Flow(down, up)
        self.from_up = Flow(up, down)
        self.label = label
        # Octets towards the receiver, as far as the owner has taken account of them.
        self.carried_out = 0
        # When octets last moved, and whether they came from the receiver.
        self.moved_ns = loop.clock()
        self.last_from_up = True
        self.over = False

    def start(self) -> None:
        """Begin to carry. The loop may watch the sockets already, or not yet."""
        self.up.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._loop.watch(self.down, self._down_ready)
        self._loop.watch(self.up, self._up_ready)
        # What arrived before may have been told to another handler.
        self.from_up.readable = self.from_up.to_the_end = True
        self._loop.call_soon(self._go)

    def idle_ns(self, now_ns: int) -> int:
        """Return for how long nothing moved."""
        return now_ns - self.moved_ns

    @property
    def half_closed(self) -> bool:
        """One side has ended, the other has not."""
        return self.from_down.ended or self.from_up.ended

    @property
    def between_transactions(self) -> bool:
        """Whether all that the receiver said was delivered and Postfix has not spoken since."""
        return self.last_from_up and not self.from_down.pending and not self.from_up.pending

    def let_be_the_last(self) -> None:
        """Let the transaction that runs end, and hang up where Postfix begins another.

        smtp(8) takes that for a connection that went stale in its cache, and opens a new one.
        """
        if not self.over:
            self._loop.watch(self.down, self._down_ready_for_the_last)

    def cut(self) -> None:
        """End it now: the receiver's side is reset and nothing that is pending goes out."""
        if not self.over:
            self._end()

    def hang_up(self) -> None:
        """End it with an orderly close to both sides; octets the kernel holds still arrive."""
        if not self.over:
            with contextlib.suppress(OSError):
                self.up.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ORDERLY_CLOSE)
            self._end()

    def release(self) -> None:
        """Stop carrying and leave both sockets open, for another process."""
        self.over = True
        self._loop.forget(self.down)
        self._loop.forget(self.up)

    def _go(self) -> None:
        if not self.over:
            self._carry(self.from_up)
        if not self.over:
            self._carry(self.from_down)

    def _down_ready(self, mask: int) -> None:
        if mask == _PLAIN and self._pass_on(self.from_down, self.from_up):
            return
        if mask & select.EPOLLERR:
            # Postfix is gone; nobody is left to answer to, and half a message must not go out.
            self.cut()
            return
        self._ready(mask, self.from_down, self.from_up)

    def _down_ready_for_the_last(self, mask: int) -> None:
        if self.between_transactions and self._begins_another():
            with contextlib.suppress(OSError):
                # Left unread, it would make the kernel send a reset.
                self.down.recv_into(_buffer)
            self.hang_up()
        else:
            self._down_ready(mask)

    def _begins_another(self) -> bool:
        try:
            first = self.down.recv(_LONGEST_BEGINNING, socket.MSG_PEEK)
        except OSError:
            return False
        return first.upper().startswith(_BEGINNINGS)

    def _up_ready(self, mask: int) -> None:
        if mask == _PLAIN and self._pass_on(self.from_up, self.from_down):
            return
        # Also on an error: what the receiver said before it broke off belongs to Postfix.
        self._ready(mask, self.from_up, self.from_down)

    def _pass_on(self, flow: Flow, other: Flow) -> bool:
        """Do what nearly every event asks for, a short read and a whole send, with as little Python
        as possible. Return False when it is not such an event; then nothing is done yet, or what
        was read is pending."""
        if flow.pending or other.pending or flow.to_the_end:
            return False
        try:
            count = flow.receive(_buffer)
        except BlockingIOError:
            return True
        except OSError:
            return self._source_broke(flow)
        if not 0 < count < _BUFFER_OCTETS:
            flow.pending = bytes(_view[:count])
            flow.eof = count == 0
            return False
        now_ns = self._clock()
        if now_ns >= self._fence.cut_at_ns:
            self._end()
            return True
        try:
            sent = flow.send(_view[:count])
        except OSError:
            sent = 0
        if sent < count:
            flow.pending = bytes(_view[sent:count])
        flow.octets += sent
        self.moved_ns = now_ns
        self.last_from_up = flow is self.from_up
        return sent == count

    def _ready(self, mask: int, incoming: Flow, outgoing: Flow) -> None:
        if mask & ~select.EPOLLOUT:
            incoming.readable = True
            if mask & _BROKEN:
                incoming.to_the_end = True
            self._carry(incoming)
        if outgoing.pending and not self.over:
            self._carry(outgoing)

    def _carry(self, flow: Flow) -> None:
        """Send what is pending, then read and send until one of them has to wait."""
        for _ in range(_TURN):
            if flow.pending:
                if not self._send(flow, memoryview(flow.pending)):
                    return
                continue
            if flow.eof:
                self._pass_end_on(flow)
                return
            if not flow.readable:
                return
            count = self._receive(flow)
            if count < 0:
                return
            if count and not self._send(flow, _view[:count]):
                return
        # More may be there: after the others.
        self._loop.call_soon(self._go)

    def _receive(self, flow: Flow) -> int:
        """Read into the buffer; return the octets read, 0 at the end, -1: nothing to do now."""
        try:
            count = flow.receive(_buffer)
        except BlockingIOError:
            flow.readable = flow.to_the_end = False
            return -1
        except OSError:
            if self._source_broke(flow):
                return -1
            count = 0
        if count == 0:
            flow.eof = True
        elif count < _BUFFER_OCTETS and not flow.to_the_end:
            flow.readable = False
        return count

    def _send(self, flow: Flow, data: memoryview) -> bool:
        """Send `data`; keep what does not fit. Return whether all of it was sent."""
        now_ns = self._clock()
        if now_ns >= self._fence.cut_at_ns:
            self._end()
            return False
        try:
            sent = flow.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._sink_broke(flow)
            return False
        flow.octets += sent
        self.moved_ns = now_ns
        self.last_from_up = flow is self.from_up
        flow.pending = b"" if sent == len(data) else bytes(data[sent:])
        return not flow.pending

    def _source_broke(self, flow: Flow) -> bool:
        """Return whether that ended it all."""
        if flow is self.from_down:
            self._end()
            return True
        # The receiver broke off; Postfix gets an orderly end after its last words.
        self.from_down.eof = self.from_down.ended = True
        flow.eof = True
        return False

    def _sink_broke(self, flow: Flow) -> None:
        if flow is self.from_up:
            self._end()
            return
        # The receiver takes no more, but may have said why: that is still to be read.
        flow.pending = b""
        flow.eof = flow.ended = True
        self.from_up.readable = self.from_up.to_the_end = True
        self._carry(self.from_up)

    def _pass_end_on(self, flow: Flow) -> None:
        if flow.ended:
            return
        flow.ended = True
        if self.from_up.ended and self.from_down.ended:
            self.hang_up()
            return
        try:
            flow.sink.shutdown(socket.SHUT_WR)
        except OSError:
            self._end()

    def _end(self) -> None:
        self.over = True
        self._loop.discard(self.down)
        self._loop.discard(self.up)
        self._on_end(self)
