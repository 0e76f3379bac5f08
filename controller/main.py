"""postfleet controller run: options and logging of the controller's process.

`python -m controller.main …` is the same without the rest of the CLI. Exit codes: 0 stopped as
asked, 1 it could not start (one line says why), 2 wrong options.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import structlog

from controller.keys.errors import KeysError
from controller.postgres import PostgresError
from controller.providers.table import TableError
from controller.server import run
from controller.serving.errors import ServingError
from controller.serving.settings import Endpoint, RunSettings
from controller.shaping.read import ShapingError
from controller.store.errors import StoreError

_CANNOT_START = (
    KeysError,
    ServingError,
    StoreError,
    PostgresError,
    ShapingError,
    TableError,
    OSError,
)


def parse(arguments: Sequence[str] | None = None) -> RunSettings:
    """The settings of a command line; exits with 2 where it is wrong."""
    parser = argparse.ArgumentParser(prog="postfleet controller run", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="keys, CA and PostgreSQL")
    parser.add_argument("--listen", type=_endpoint, required=True, metavar="HOST:PORT", help="gRPC")
    parser.add_argument("--metrics", type=_endpoint, metavar="HOST:PORT", help="Prometheus")
    parser.add_argument("--probe-echo", type=_endpoint, metavar="HOST:PORT",
                        help="tells callers their address")  # fmt: skip
    parser.add_argument("--dsn", help="PostgreSQL to use in place of an embedded one")
    parser.add_argument("--name", action="append", default=[], dest="names",
                        help="a further DNS name or address of this controller")  # fmt: skip
    parser.add_argument("--join-grace", type=float, default=600.0, metavar="SECONDS",
                        help="how long new nodes are counted on")  # fmt: skip
    parser.add_argument("--shaping", type=Path, metavar="FILE",
                        help="shaping rules, asked before the shipped ones")  # fmt: skip
    parser.add_argument("--providers", type=Path, metavar="FILE",
                        help="MX hosts and their providers, over the shipped table")  # fmt: skip
    parser.add_argument("--dns", type=_endpoint, action="append", default=[], metavar="HOST:PORT",
                        help="a resolver to ask in place of the system's")  # fmt: skip
    given = parser.parse_args(arguments)
    return RunSettings(
        state_dir=given.state_dir,
        listen=given.listen,
        metrics=given.metrics,
        probe_echo=given.probe_echo,
        dsn=given.dsn,
        names=tuple(given.names),
        join_grace_s=given.join_grace,
        shaping=given.shaping,
        providers=given.providers,
        dns=tuple(given.dns),
    )


def _endpoint(text: str) -> Endpoint:
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def configure_logging() -> None:
    """One JSON object a line to standard error; times in UTC."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


def serve(settings: RunSettings) -> int:
    """Runs the controller; gives the exit code."""
    configure_logging()
    try:
        run(settings)
    except _CANNOT_START as error:
        print(f"postfleet controller: {error}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    """The program."""
    return serve(parse())


if __name__ == "__main__":
    sys.exit(main())
