"""Small fleets and scenarios for tests of the simulation, and strategies that generate them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from hypothesis import strategies as st

from controller.providers.table import open_table
from controller.simulation.scenario import Scenario
from controller.simulation.scenario_file import Known, parse
from inventory.load import parse as parse_inventory
from inventory.reference import render
from inventory.schema import Inventory

CLIENTS = ("harbor", "alpine", "lumen")
KNOWN = Known(open_table().names, CLIENTS)


@lru_cache(maxsize=64)
def _fleet(mailboxes: int, settings: str) -> Inventory:
    given = {name: json.dumps(value) for name, value in json.loads(settings).items()}
    return parse_inventory(render(3, mailboxes, settings=given), "small").inventory


def fleet(mailboxes: int = 20, **settings: Mapping[str, Any] | str) -> Inventory:
    """The reference fleet in small; `settings` of the fleet in place of its own."""
    return _fleet(mailboxes, json.dumps(settings))


def scenario(**given: Any) -> Scenario:
    """As read from a file; limits and pacing are the default ones."""
    campaign = {"name": "news", "client": "*", "recipients": 20_000}
    usual = {"version": 1, "name": "small", "pacing": "default", "campaigns": [campaign]}
    return parse(json.dumps(usual | given), "small.yaml", KNOWN)


windows = st.sampled_from([None, ["mon-fri 08:00-18:00"], ["daily 22:00-24:00", "sat 01:00-05:00"]])
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
tight = st.sampled_from([0, 2, 7, 25, 1000])
fleets = st.fixed_dictionaries(
    {
        "time_zone": zones,
        "limits": st.fixed_dictionaries(
            {},
            optional={
                "mailbox_per_hour": tight, "mailbox_per_day": tight, "egress_per_hour": tight,
                "egress_per_day": tight, "domain_per_day": tight, "domain_provider_per_day": tight,
                "provider_egress_per_hour": tight, "client_per_day": tight,
            },
        ),
        "pacing": st.fixed_dictionaries(
            {"spread": st.booleans(), "min_gap_s": st.sampled_from([0, 120, 3000])}
        ),
    }
)  # fmt: skip
receivers = st.lists(
    st.fixed_dictionaries(
        {
            "provider": st.sampled_from(["google", "microsoft", "gmx", "other"]),
            "share_percent": st.sampled_from([0.0, 10.0, 20.0]),
            "per_egress_hour": st.sampled_from([0, 1, 5, 200]),
            "new_egress_hour": st.sampled_from([0, 2, 50]),
            "complaint_limit_percent": st.sampled_from([0.01, 0.1]),
            "busy_percent": st.sampled_from([0.0, 5.0, 90.0]),
        }
    ),
    max_size=4,
    unique_by=lambda each: each["provider"],
)
campaigns = st.lists(
    st.fixed_dictionaries(
        {
            "client": st.sampled_from(["*", "#1", "alpine"]),
            "recipients": st.sampled_from([1, 300, 9000]),
            "priority": st.sampled_from([0, 50]),
            "burst_per_hour": st.sampled_from([None, 3, 100]),
            "starts": st.integers(1, 4),
            "over_days": st.integers(1, 5),
            "follow_ups": st.sampled_from([[], [1], [2, 1]]),
            "unknown_percent": st.sampled_from([0.0, 3.0, 40.0]),
            "complaint_percent": st.sampled_from([0.0, 1.0]),
        }
    ),
    min_size=1,
    max_size=3,
).map(
    lambda found: [
        {k: v for k, v in each.items() if v is not None} | {"name": f"c{n}"}
        for n, each in enumerate(found)
    ]
)
scenarios = st.fixed_dictionaries(
    {
        "pacing": st.just("inventory"),
        "mailboxes": st.sampled_from(["inventory", "new", "warm"]),
        # Berlin's clock changes on 29 March 2026, New York's on the 8th.
        "start": st.sampled_from(["2026-03-04", "2026-03-26", "2026-06-01"]),
        "windows": windows,
        "receivers": receivers,
        "campaigns": campaigns,
    }
)
