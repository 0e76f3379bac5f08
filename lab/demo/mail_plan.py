"""Who gets mail in the demonstration, and how their receivers answer. Pure.

Recipients' names say what happens to their mail: `grey…` is greylisted, `slow…` is throttled,
`gone…` and `blocked…` are refused for good; `reader…` is simply delivered.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.receivers.rules import Rules

# One in so many recipients has a special fate.
_GREY_EVERY = 10
_GONE_EVERY = 29
_SLOW_EVERY = 23
_GREYLIST_DELAY_S = 8.0

# provider: (domain, reply to unknown users, reply while throttling)
PROVIDERS = {
    "google": ("google.test", "google.no-such-user", "google.rate"),
    "microsoft": ("microsoft.test", "microsoft.no-such-user", "microsoft.rate"),
    "yahoo": ("yahoo.test", "yahoo.no-such-user", "yahoo.deferred"),
    "example1": ("example1.test", "plain.no-such-user", "plain.busy"),
}

UNKNOWN = "plain.no-such-user"


def recipients(count: int, first: int = 0) -> list[str]:
    """Addresses numbered from `first`, all different, spread over the four providers."""
    domains = [domain for domain, _, _ in PROVIDERS.values()]
    return [
        f"{_fate(number)}.{number:05d}@{domains[number % len(domains)]}"
        for number in range(first, first + count)
    ]


def _fate(number: int) -> str:
    if number % _GONE_EVERY == _GONE_EVERY - 1:
        return "blocked" if number % 2 else "gone"
    if number % _SLOW_EVERY == _SLOW_EVERY - 1:
        return "slow"
    if number % _GREY_EVERY == _GREY_EVERY - 1:
        return "grey"
    return "reader"


def rules(*, mild: bool = False) -> Rules:
    """The receivers' rules for these recipients.

    `mild`: receivers speak of their recipients and of themselves, never of the sender: nothing they
    say slows or stops who sends.
    """
    entries: list[dict[str, object]] = []
    for provider, (_, gone, throttled) in PROVIDERS.items():
        throttled = "plain.busy" if mild else throttled
        refuse = {"kind": "reply", "reply": UNKNOWN if mild else gone, "stage": "rcpt"}
        throttle = {"kind": "reply", "reply": throttled, "stage": "rcpt", "times": 2}
        entries += [
            {"provider": provider, "recipient": "gone.*", "action": refuse},
            {"provider": provider, "recipient": "slow.*", "action": throttle},
        ]
    blocked = {"kind": "reply", "reply": "google.unauthenticated", "stage": "dot"}
    other = blocked | {"reply": "microsoft.authentication"}
    if mild:
        blocked = other = blocked | {"reply": UNKNOWN}
    greylist = {"kind": "greylist", "delay_s": _GREYLIST_DELAY_S}
    entries += [
        {"provider": "google", "recipient": "blocked.*", "action": blocked},
        {"recipient": "blocked.*", "action": other},
        {"recipient": "grey.*", "action": greylist},
    ]
    return Rules.model_validate({"rules": entries})


def expected_refusals(addresses: Sequence[str]) -> int:
    """How many of them will be refused for good."""
    return sum(address.startswith(("gone.", "blocked.")) for address in addresses)
