"""Which proxies take a pipelined SOCKS5 dialogue: learnt by trying, never assumed. Pure.

A proxy that is not known is tried pipelined; when that goes wrong in a way that may come from it,
the dialogue is repeated step by step on a new connection. Only a dialogue that came to its end
teaches anything. No mail is at stake: nothing of it is sent before the target is connected.
"""

from __future__ import annotations

from collections.abc import Iterable

from node_agent.gateway.admission import Stage
from node_agent.gateway.config import Socks5Proxy
from node_agent.gateway.socks5 import Dialogue

# A proxy that has not answered the password by then may have thrown it away.
_PATIENCE_S = 2.0
# It has answered the password, so it kept what came after the greeting, and probably all of it;
# but a proxy that is connecting to a slow target says nothing either.
_LONG_PATIENCE_S = 10.0


class ProxyManners:
    """Knowledge of one process about its proxies, by host and port. Bounded by the configuration,
    as nothing else is learnt about."""

    def __init__(self) -> None:
        self._pipelines: dict[tuple[str, int], bool] = {}

    def pipelined(self, proxy: Socks5Proxy) -> bool:
        """Whether to pipeline the next dialogue with this proxy."""
        return self._pipelines.get((proxy.host, proxy.port), True)

    def known(self, proxy: Socks5Proxy) -> bool:
        """Whether that is knowledge."""
        return (proxy.host, proxy.port) in self._pipelines

    def learn(self, proxy: Socks5Proxy, dialogue: Dialogue) -> None:
        """Remember how a dialogue came to its end, with a connection or a reply code."""
        self._pipelines[(proxy.host, proxy.port)] = dialogue.pipelined

    def keep_only(self, proxies: Iterable[Socks5Proxy]) -> None:
        """Forget all others: a new configuration does not name them any more."""
        named = {(proxy.host, proxy.port) for proxy in proxies}
        self._pipelines = {key: how for key, how in self._pipelines.items() if key in named}

    def patience_s(self, dialogue: Dialogue) -> float:
        """How long after its beginning a trial may be silent, at the stage it has come to."""
        return _LONG_PATIENCE_S if dialogue.stage is Stage.PROXY_REQUEST else _PATIENCE_S
