"""What the receivers of the day do not tell: how much they take of one address in an hour. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from lab.demo.mail_plan import PROVIDERS
from lab.receivers.rules import Rules

HOUR_S = 3600
# In percent of what an egress has for a provider in an hour; who is not named takes all.
TAKES = {"google": 60, "microsoft": 40, "yahoo": 80}


def hidden_limits(mailboxes_per_egress: int, messages: int, hours: int) -> dict[str, int]:
    """Messages an hour that each provider takes of one address.

    `messages`: of each mailbox in the day, spread over its `hours` and evenly over the providers.
    """
    wanted = mailboxes_per_egress * messages / hours / len(PROVIDERS)
    return {name: max(2, int(wanted * share / 100)) for name, share in TAKES.items()}


def rules(limits: Mapping[str, int], speed: int) -> Rules:
    """Receivers whose hours are as short as the fleet's clock is fast.

    What exceeds a limit is deferred in the provider's own words, none of which names a number.
    """
    return Rules.model_validate(
        {
            "rules": [
                {
                    "provider": name,
                    "action": {
                        "kind": "rate",
                        "messages": most,
                        "per_s": HOUR_S / speed,
                        "reply": PROVIDERS[name][2],
                    },
                }
                for name, most in limits.items()
            ]
        }
    )
