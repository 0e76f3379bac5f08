"""The rows about the way out: throughput against references, added latency, memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

from lab.bench import proxies, receiver, redsocks, roots, ways
from lab.bench.errors import BenchError
from lab.bench.gateway import Gateway
from lab.bench.ground import Ground
from lab.bench.result import Bar, Result, Side, median_ratio, spread
from lab.bench.throughput import MailServers

# Some ten seconds a turn: shorter ones are at the mercy of the machine's neighbours.
_MESSAGES = 4000
_EXIM_MESSAGES = 400
_TIMED = 400
_HELD = 500
_CHECKOUT = Path(__file__).parents[2]

Say = Callable[[str], None]


class MailRows:
    """Everything that is needed for them, running: a context within a Ground."""

    def __init__(self, ground: Ground, say: Say) -> None:
        self._ground = ground
        self._say = say
        say("roots with Postfix, redsocks and Exim")
        self._postfix = roots.mount(ground, "postfix", roots.POSTFIX)
        exim = roots.mount(ground, "exim", roots.EXIM)
        say("Dante, gateway, redsocks, Postfix, Exim")
        proxies.start(ground)
        self._gateway = Gateway(ground)
        redsocks.start(ground, self._postfix)
        self._servers = MailServers(ground, self._postfix, exim)
        self._servers.start()

    def throughput(self, rounds: int) -> list[Result]:
        """The three ratios, from rounds in which every way has its turn."""
        measures: dict[str, Callable[[], float]] = {
            "direct": lambda: self._servers.postfix_rate("direct", _MESSAGES),
            "gateway": lambda: self._servers.postfix_rate("gateway", _MESSAGES),
            "redsocks": lambda: self._servers.postfix_rate("redsocks", _MESSAGES),
            "exim": lambda: self._servers.exim_rate(_EXIM_MESSAGES),
        }
        self._say("warming up")
        self._servers.postfix_rate("gateway", _MESSAGES // 2)
        rates: dict[str, list[float]] = {name: [] for name in measures}
        for number in range(rounds):
            for name in _turns(list(measures), number):
                rates[name].append(measures[name]())
                self._say(f"round {number + 1}/{rounds}: {name} {rates[name][-1]:.0f} messages/s")
        return [
            _ratio("gateway vs direct", rates, "direct", Bar(Side.AT_LEAST, 0.85, 0.95)),
            _ratio("gateway vs redsocks", rates, "redsocks", Bar(Side.AT_LEAST, 1.0)),
            _ratio("gateway vs exim", rates, "exim", Bar(Side.AT_LEAST, 3.0)),
        ]

    def latency(self) -> list[Result]:
        """p50 and p99 of one message through the gateway, less those of python-socks."""
        self._say(f"latency of {_TIMED} messages each way")
        timed = receiver.start(self._ground, self._postfix)
        self._ground.namespace.run(["nft", "-f", "-"], stdin=ways.rules("gateway"))
        try:
            times = json.loads(self._client("latency", _TIMED).communicate()[0])
        finally:
            timed.stop()
        results = []
        for name, percentile, bar in (("p50", 50, 1.0), ("p99", 99, 5.0)):
            ours, reference = (_percentile(times[w], percentile) for w in ("gateway", "reference"))
            note = f"gateway {ours:.2f} ms, python-socks {reference:.2f} ms"
            results.append(
                Result(
                    f"added latency {name}", ours - reference, "ms", Bar(Side.AT_MOST, bar), note
                )
            )
        return results

    def memory(self) -> list[Result]:
        """Resident memory of the gateway with 500 connections open, after all that went before."""
        self._say(f"memory with {_HELD} connections")
        timed = receiver.start(self._ground, self._postfix)
        self._ground.namespace.run(["nft", "-f", "-"], stdin=ways.rules("gateway"))
        client = self._client("hold", _HELD)
        try:
            assert client.stdout is not None
            said = client.stdout.readline()
            if not said:
                raise BenchError(f"{_HELD} connections could not be opened")
            held = self._gateway.open_connections()
            if held < _HELD:
                raise BenchError(f"the gateway holds {held} connections instead of {_HELD}")
            resident_mib = self._gateway.resident_mib()
        finally:
            client.communicate()
            timed.stop()
        bar = Bar(Side.AT_MOST, 80)
        return [Result("gateway memory, 500 connections", resident_mib, "MB", bar)]

    def _client(self, task: str, count: int) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "lab.bench.clients", task, str(count)]
        return subprocess.Popen(
            self._ground.namespace.command(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_CHECKOUT,
        )


def _turns(names: list[str], number: int) -> list[str]:
    """Each round begins with another one, so none always comes after the same."""
    start = number % len(names)
    return names[start:] + names[:start]


def _ratio(name: str, rates: dict[str, list[float]], reference: str, bar: Bar) -> Result:
    note = (
        f"gateway {spread(rates['gateway'])}, {reference} {spread(rates[reference])} messages/s; "
        f"median of {len(rates[reference])} rounds' ratios"
    )
    return Result(name, median_ratio(rates["gateway"], rates[reference]), "", bar, note)


def _percentile(values: list[float], percentile: int) -> float:
    return median(values) if percentile == 50 else quantiles(values, n=100)[percentile - 1]
