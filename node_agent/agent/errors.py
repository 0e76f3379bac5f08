"""What can go wrong in the agent and is no bug. Outcomes of messages are data, not errors."""

from __future__ import annotations


class AgentError(Exception):
    """Something the agent tried did not work; the message says what still holds."""


class ConfigError(AgentError):
    """The configuration file is missing or says what it may not. Do not retry; edit it."""


class SpoolError(AgentError):
    """The spool cannot be used as it is. The process ends; what was stored stays."""


class DiskFullError(AgentError):
    """No room for new work. What is stored stays and is finished; retry when there is room."""


class IntakeError(AgentError):
    """Postfix's intake cannot be reached or does not speak SMTP. Retry later."""


class EvidenceError(AgentError):
    """Postfix's queue could not be read, so nothing was decided. Retry later."""


class QueueOrderError(AgentError):
    """postfleet-apply did not act on Postfix's queue, or not on all of it. Retry: it may be
    repeated."""
