"""postfleet-agent: the process on a node between controller and Postfix.

usage: postfleet-agent [--config FILE]

Exit codes: 0 stopped by SIGTERM or SIGINT, 1 failed (systemd starts it again), 2 wrong
configuration. Logs JSON lines on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

import structlog
from prometheus_client import start_http_server

from node_agent.agent.config import ETC, AgentConfig, host_and_port, load
from node_agent.agent.daemon import Daemon
from node_agent.agent.errors import AgentError, ConfigError


def main(arguments: list[str] | None = None) -> int:
    """Run the agent."""
    parser = argparse.ArgumentParser(prog="postfleet-agent", description="The agent of a node.")
    parser.add_argument("--config", type=Path, default=ETC / "agent.toml")
    options = parser.parse_args(arguments)
    _log_json()
    log = structlog.get_logger("agent")
    try:
        config = load(options.config)
    except ConfigError as error:
        log.error("wrong-configuration", error=str(error))
        return 2
    try:
        asyncio.run(_run(config))
    except AgentError as error:
        log.error("failed", error=str(error))
        return 1
    except ExceptionGroup as group:
        log.error("failed", error=_words(group), exc_info=group.subgroup(_is_a_bug))
        return 1
    log.info("stopped")
    return 0


def _is_a_bug(error: BaseException) -> bool:
    return not isinstance(error, (AgentError, BaseExceptionGroup))


def _words(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_words(e) for e in error.exceptions)
    return str(error) or repr(error)


async def _run(config: AgentConfig) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    host, port = host_and_port(config.metrics_listen)
    server, thread = start_http_server(port, host)
    try:
        await Daemon(config).run(stop)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _log_json() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
