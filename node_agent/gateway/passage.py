"""Makes the way out for one connection of Postfix: through its proxy, or from a node's address.

Name lookup, proxy connect, SOCKS dialogue, target connect; ends with the connected socket or with a
refusal that names the stage. The lease is asked again right before the request that opens the
connection, and when it is open: nothing comes to be opened after trusted_until.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass

from node_agent.gateway.admission import Admitted, Refusal, Stage
from node_agent.gateway.config import Socks5Proxy
from node_agent.gateway.dial import Dial
from node_agent.gateway.loop import Loop, Timer
from node_agent.gateway.proxy_manners import ProxyManners
from node_agent.gateway.proxy_talk import ProxyTalk
from node_agent.gateway.resolver import Resolver
from node_agent.gateway.socks5 import Dialogue, Failed


@dataclass(frozen=True)
class Outside:
    """What every passage needs of the gate."""

    loop: Loop
    resolver: Resolver
    manners: ProxyManners
    # Why a connection of this egress may not be opened now, or None.
    permit: Callable[[str], Refusal | None]
    # Called with the passage, the connected socket, and what the target has sent already.
    on_open: Callable[[Passage, socket.socket, bytes], None]
    on_refused: Callable[[Passage, Refusal], None]


class Passage:
    """One attempt; `outside.on_open` or `.on_refused` is called once, unless it is abandoned.

    The owner calls `give_up` when the time is over.
    """

    def __init__(self, outside: Outside, down: socket.socket, way: Admitted) -> None:
        self.down = down
        self.egress = way.egress
        self.started_ns = outside.loop.clock()
        self._outside = outside
        self._target = way.target
        self._dial: Dial | None = None
        self._talk: ProxyTalk | None = None
        self._patience: Timer | None = None
        self._proxy_address = ""
        # What is under way, for the words of a refusal.
        self._doing = "noting that the egress is in use"
        self._over = False

    def start(self) -> None:
        """Begin."""
        proxy = self.egress.socks5
        if proxy is not None:
            self._doing = f"looking {proxy.host} up"
            self._outside.resolver.resolve(proxy.host, self._resolved)
        elif self._permitted():
            self._doing = f"connecting to {_endpoint(self._target)}"
            source = str(self.egress.address)
            self._dial = Dial(self._outside.loop, self._target, source, self._opened, self._broke)

    def give_up(self, after_s: float) -> None:
        """Refuse, because it took `after_s` seconds."""
        self._broke(f"no answer within {after_s:g} s")

    def refuse(self, refusal: Refusal) -> None:
        """Refuse for a reason from outside. Harmless when it is over."""
        if not self._over:
            self.abandon()
            self._outside.on_refused(self, refusal)

    def abandon(self) -> None:
        """Stop without a word; `down` stays as it is, untouched, for another process."""
        self._over = True
        self._drop()

    # --- through a proxy ---------------------------------------------------------------------

    def _resolved(self, address: str | None, reason: str) -> None:
        proxy = self.egress.socks5
        if self._over or proxy is None:
            return
        if address is None:
            self._refuse(Stage.PROXY_CONNECT, reason)
            return
        self._proxy_address = address
        self._call(proxy, pipelined=self._outside.manners.pipelined(proxy))

    def _call(self, proxy: Socks5Proxy, *, pipelined: bool) -> None:
        self._doing = f"connecting to {proxy.host}:{proxy.port}"
        dialogue = Dialogue(*self._target, proxy.username, proxy.password, pipelined=pipelined)
        to = (self._proxy_address, proxy.port)
        self._dial = Dial(
            self._outside.loop, to, None, lambda up: self._answered(up, dialogue), self._broke
        )

    def _answered(self, up: socket.socket, dialogue: Dialogue) -> None:
        proxy = self.egress.socks5
        if proxy is None:
            return
        self._doing = f"talking SOCKS5 to {proxy.host}:{proxy.port}"
        outside = self._outside
        self._talk = ProxyTalk(
            outside.loop, up, dialogue, self._permitted, self._through, self._said_no
        )
        if dialogue.pipelined and not outside.manners.known(proxy):
            self._be_patient(dialogue)
        self._talk.start()

    def _through(self, up: socket.socket, early: bytes) -> None:
        if self._talk is not None and self.egress.socks5 is not None:
            self._outside.manners.learn(self.egress.socks5, self._talk.dialogue)
        self._opened(up, early)

    def _said_no(self, failed: Failed) -> None:
        proxy, talk = self.egress.socks5, self._talk
        if proxy is None or talk is None:
            return
        if failed.stage is Stage.PROXY_REQUEST and failed.said_no:
            self._outside.manners.learn(proxy, talk.dialogue)
        elif self._on_trial(proxy, talk) and not failed.said_no:
            self._once_more()
            return
        self._refuse(failed.stage, failed.reason)

    # --- trying whether the proxy takes a pipelined dialogue ------------------------------------

    def _on_trial(self, proxy: Socks5Proxy, talk: ProxyTalk) -> bool:
        return talk.dialogue.pipelined and not self._outside.manners.known(proxy)

    def _be_patient(self, dialogue: Dialogue, already_s: float = 0.0) -> None:
        """Wait for the dialogue's end; longer, when it has come further meanwhile."""
        patience_s = self._outside.manners.patience_s(dialogue)
        if patience_s <= already_s:
            self._once_more()
            return
        self._patience = self._outside.loop.call_in(
            patience_s - already_s, lambda: self._be_patient(dialogue, patience_s)
        )

    def _once_more(self) -> None:
        """Talk again, step by step, on another connection."""
        proxy = self.egress.socks5
        if self._over or proxy is None:
            return
        self._drop()
        self._call(proxy, pipelined=False)

    # --- ends ----------------------------------------------------------------------------------

    def _opened(self, up: socket.socket, early: bytes = b"") -> None:
        if not self._permitted():
            self._outside.loop.discard(up)
            return
        self._talk = self._dial = None
        self.abandon()
        self._outside.on_open(self, up, early)

    def _permitted(self) -> bool:
        refusal = self._outside.permit(self.egress.id)
        if refusal is not None:
            self.refuse(refusal)
        return refusal is None

    def _broke(self, words: str) -> None:
        stage = Stage.TARGET_CONNECT if self.egress.socks5 is None else Stage.PROXY_CONNECT
        doing = self._doing
        if self._talk is not None:
            stage = self._talk.dialogue.stage
            if stage is Stage.PROXY_REQUEST:
                doing = f"waiting for the proxy to connect to {_endpoint(self._target)}"
        self._refuse(stage, f"{doing}: {words}")

    def _refuse(self, stage: Stage, reason: str) -> None:
        self.refuse(Refusal(self.egress.id, stage, reason))

    def _drop(self) -> None:
        """Let go of whatever is under way."""
        if self._patience is not None:
            self._patience.cancel()
        if self._dial is not None:
            self._dial.cancel()
        if self._talk is not None:
            self._talk.cancel()
        self._patience = self._dial = self._talk = None


def _endpoint(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"
