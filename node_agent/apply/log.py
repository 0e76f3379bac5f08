"""The log of postfleet-apply: JSON on stderr, without secrets.

A queue command that succeeds says nothing, and structlog takes longer to load than all the rest of
one: it is loaded at the first word.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import structlog


@cache
def log() -> structlog.BoundLogger:
    """The logger of this process."""
    import structlog

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    logger: structlog.BoundLogger = structlog.get_logger()
    return logger
