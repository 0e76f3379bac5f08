"""What is too much: thresholds of health, and how long what is stopped stays so.

Rates are in percent. What is compared with them is an estimate with its uncertainty, not the bare
quotient (docs/decisions/0019): one bounce in three messages says nothing about a rate.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator, Field

from inventory.fields import Count, Strict

Percent = Annotated[float, Field(strict=True, gt=0, lt=100)]


class Thresholds(Strict):
    """Percent at which a band begins; each above the one before, the first above `usual`."""

    usual: Percent
    """What a healthy sender has: where estimates begin before anything is known."""
    watch: Percent
    """Looked at: a warm-up stays where it is."""
    slowed: Percent
    """Sends less; a warm-up steps back."""
    paused: Percent
    """Sends nothing for pause_days, then warms up from the bottom."""
    quarantined: Percent
    """Sends nothing for quarantine_days, then warms up from the bottom."""


def _rising(of: Thresholds) -> Thresholds:
    values = [of.usual, of.watch, of.slowed, of.paused, of.quarantined]
    if any(low >= high for low, high in pairwise(values)):
        raise ValueError("must rise: usual, watch, slowed, paused, quarantined")
    return of


Rising = Annotated[Thresholds, AfterValidator(_rising)]


class Health(Strict):
    """When mailboxes, egresses and domains are watched, slowed, paused and quarantined."""

    complaint_percent: Rising = Thresholds(
        usual=0.02, watch=0.03, slowed=0.05, paused=0.1, quarantined=0.3
    )
    """Complaints of messages that were delivered, over 7 and 30 days. Receivers want less than 0.1,
    and never 0.3."""
    bounce_percent: Rising = Thresholds(usual=1, watch=2, slowed=3, paused=5, quarantined=10)
    """Addresses that do not exist, of messages that ended, over 1 and 7 days."""
    block_percent: Rising = Thresholds(usual=2, watch=5, slowed=10, paused=25, quarantined=50)
    """Refusals because of reputation, policy or content, of receivers' answers, over an hour and a
    day."""
    min_messages: Annotated[Count, Field(ge=1, le=100_000)] = 20
    """Fewer of them in a window lead to no verdict."""
    confidence_percent: Annotated[float, Field(strict=True, ge=51, le=99.9)] = 85
    """How probable it must be that a rate is above a threshold."""
    slowed_to_percent: Annotated[Count, Field(ge=1, le=100)] = 50
    """What of its limits of the day and hour is left to what is slowed."""
    hold_h: Annotated[Count, Field(ge=1, le=720)] = 24
    """Hours for which a band holds before it is left for a better one."""
    pause_days: Annotated[Count, Field(ge=1, le=90)] = 3
    """How long a pause lasts; each further one within 60 days twice as long, 30 at most."""
    quarantine_days: Annotated[Count, Field(ge=1, le=365)] = 30
    """How long a quarantine lasts; a further one within 60 days twice as long, 60 at most."""
    agree_percent: Annotated[Count, Field(ge=1, le=100)] = 34
    """An egress is paused when so many of its mailboxes are, a domain when so many of its egresses
    are; two at least."""
