"""Makes the way out for one connection of Postfix: through its proxy, or from a node's address.

Name lookup, proxy connect, SOCKS dialogue, target connect; ends with the connected socket or with a
refusal that names the stage. The lease is asked again right before the request that opens the
connection, and when it is open: nothing comes to be opened after trusted_until.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Callable

from node_agent.gateway.admission import Refusal, Stage
from node_agent.gateway.config import EgressConfig, Socks5Proxy
from node_agent.gateway.loop import Loop
from node_agent.gateway.resolver import Resolver
from node_agent.gateway.socks5 import Connected, Dialogue, Failed, Send

# linux/in.h, not in the socket module of every Python we run on.
_IP_BIND_ADDRESS_NO_PORT = 24

Permit = Callable[[str], Refusal | None]


class Passage:
    """One attempt. Calls `on_open(passage, up, early)` or `on_refused(passage, refusal)`, once.

    `early` are octets the target has sent already. `permit(egress_id)` says whether opening is
    allowed now. The owner calls `give_up` when the time is over, or `abandon`.
    """

    def __init__(
        self,
        loop: Loop,
        down: socket.socket,
        egress: EgressConfig,
        target: tuple[str, int],
        permit: Permit,
        on_open: Callable[[Passage, socket.socket, bytes], None],
        on_refused: Callable[[Passage, Refusal], None],
    ) -> None:
        self.down = down
        self.egress = egress
        self.started_ns = loop.clock()
        self._loop = loop
        self._target = target
        self._permit = permit
        self._on_open = on_open
        self._on_refused = on_refused
        self._up: socket.socket | None = None
        self._dialogue: Dialogue | None = None
        # What is under way, for the words of a refusal.
        self._stage = Stage.PROXY_CONNECT if egress.socks5 else Stage.TARGET_CONNECT
        self._doing = ""
        self._over = False

    def start(self, resolver: Resolver) -> None:
        """Begin."""
        proxy = self.egress.socks5
        if proxy is not None:
            self._doing = f"looking {proxy.host} up"
            resolver.resolve(proxy.host, self._resolved)
        elif self._permitted():
            self._connect(self._target)

    def give_up(self, after_s: float) -> None:
        """Refuse, because it took `after_s` seconds."""
        if not self._over:
            self._refuse(self._stage, f"{self._doing}: no answer within {after_s:g} s")

    def refuse(self, refusal: Refusal) -> None:
        """Refuse for a reason from outside."""
        if not self._over:
            self._drop()
            self._on_refused(self, refusal)

    def abandon(self) -> None:
        """Stop without a word; `down` stays as it is, untouched, for another process."""
        self._drop()

    def _resolved(self, address: str | None, reason: str) -> None:
        proxy = self.egress.socks5
        if self._over or proxy is None:
            return
        if address is None:
            self._refuse(Stage.PROXY_CONNECT, reason)
            return
        self._dialogue = Dialogue(*self._target, proxy.username, proxy.password)
        self._connect((address, proxy.port))

    def _connect(self, to: tuple[str, int]) -> None:
        self._doing = f"connecting to {_name(self.egress.socks5, to)}"
        up = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._up = up
        try:
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            up.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
            up.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
            if self.egress.address is not None:
                up.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                up.bind((str(self.egress.address), 0))
            failure = up.connect_ex(to)
        except OSError as error:
            failure = error.errno or errno.EIO
        if failure not in (0, errno.EINPROGRESS):
            self._broke(failure)
            return
        self._loop.watch(up, self._connecting)

    def _connecting(self, mask: int) -> None:
        up = self._up
        if up is None:
            return
        if failure := up.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._broke(failure)
        elif not mask & select.EPOLLOUT:
            return
        elif self._dialogue is None:
            self._opened(up, b"")
        else:
            self._doing = f"talking SOCKS5 to {_name(self.egress.socks5, None)}"
            self._loop.watch(up, self._talking)
            self._say(up, self._dialogue.start())

    def _talking(self, mask: int) -> None:
        up, dialogue = self._up, self._dialogue
        if up is None or dialogue is None or not mask & ~select.EPOLLOUT:
            return
        try:
            data = up.recv(4096)
        except BlockingIOError:
            return
        except OSError as error:
            self._broke(error.errno or errno.EIO)
            return
        result = dialogue.feed(data) if data else dialogue.ended()
        self._stage = dialogue.stage
        if isinstance(result, Failed):
            self._refuse(result.stage, result.reason)
        elif isinstance(result, Connected):
            self._opened(up, result.early)
        elif result.data and (not dialogue.requested or self._permitted()):
            self._continue(up, result)

    def _continue(self, up: socket.socket, step: Send) -> None:
        if self._stage is Stage.PROXY_REQUEST:
            address, port = self._target
            self._doing = f"waiting for the proxy to connect to {address}:{port}"
        self._say(up, step.data)

    def _opened(self, up: socket.socket, early: bytes) -> None:
        if not self._permitted():
            return
        if not early and self._dialogue is not None:
            # The reply is acknowledged now, not in 40 ms: a proxy without TCP_NODELAY holds the
            # target's greeting back until then.
            with contextlib.suppress(OSError):
                up.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self._over = True
        self._up = None
        self._on_open(self, up, early)

    def _say(self, up: socket.socket, data: bytes) -> None:
        try:
            # At most 515 octets into an empty buffer: they always fit.
            up.send(data)
        except OSError as error:
            self._broke(error.errno or errno.EIO)

    def _permitted(self) -> bool:
        refusal = self._permit(self.egress.id)
        if refusal is not None:
            self.refuse(refusal)
        return refusal is None

    def _broke(self, failure: int) -> None:
        self._refuse(self._stage, f"{self._doing}: {os.strerror(failure)}")

    def _refuse(self, stage: Stage, reason: str) -> None:
        self.refuse(Refusal(self.egress.id, stage, reason))

    def _drop(self) -> None:
        self._over = True
        if self._up is not None:
            self._loop.discard(self._up)
            self._up = None


def _name(proxy: Socks5Proxy | None, to: tuple[str, int] | None) -> str:
    if proxy is not None:
        return f"{proxy.host}:{proxy.port}"
    return "the target" if to is None else f"{to[0]}:{to[1]}"
