"""How nodes deliver: retries, TLS, connections. What an operator may write."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from inventory.fields import Count, Strict, WholeSeconds


class MailDefaults(Strict):
    """Postfix's retry schedule and TLS of every egress transport (postconf(5))."""

    minimal_backoff_s: Annotated[WholeSeconds, Field(ge=1, le=86_400)] = 300
    """minimal_backoff_time: the shortest wait before a deferred message is tried again."""
    maximal_backoff_s: Annotated[WholeSeconds, Field(ge=1, le=86_400)] = 4000
    """maximal_backoff_time: the longest wait before a deferred message is tried again."""
    queue_lifetime_s: Annotated[WholeSeconds, Field(ge=60, le=5_184_000)] = 172_800
    """maximal_queue_lifetime: after this a deferred message ends as `expired`."""
    tls: Literal["may", "encrypt", "dane"] = "may"
    """smtp_tls_security_level of every egress transport."""
    egress_concurrency: Annotated[Count, Field(ge=1, le=100)] = 5
    """The most SMTP connections of one egress to one destination at a time."""
