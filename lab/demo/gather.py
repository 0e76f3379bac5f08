"""Collects the evidence: accounts from the controller, records from the receivers, judgements."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from inventory.load import load
from lab.demo.errors import DemoError
from lab.demo.facts import Account, Evidence, Exit, Sighting, Submitted
from lab.dns_config import RESOLVER
from lab.lab import Lab
from lab.proxies_log import Connection
from lab.receivers.records import KEPT, Record
from lab.verify.judge import Delivery, Resolver, judge_all

_SETTLE_S = 0.5
_SETTLE_TIMEOUT_S = 20.0


def gather(
    lab: Lab,
    inventory: Path,
    submitted: Mapping[str, Submitted],
    accounts: Mapping[str, Account],
    progress: Callable[[int, int], None] = lambda *_: None,
    *,
    concerns: Callable[[Record], bool] = lambda _: True,
    connections: Sequence[Connection] | None = None,
) -> Evidence:
    """Everything there is to compare; `progress` is told (judged, all).

    Only records that it `concerns`; `connections` in place of what the proxies' log says.
    """
    records = [record for record in settled_records(lab) if concerns(record)]
    kept = [record for record in records if record.kind in KEPT]
    deliveries = [Delivery(lab.receivers.raw_path(r), r.source, r.helo, r.sender) for r in kept]
    resolver = Resolver(RESOLVER, str(lab.controller_address))
    processes = min(4, os.cpu_count() or 1)
    verdicts = judge_all(
        deliveries, resolver, processes, lambda done: progress(done, len(deliveries))
    )
    fleet = load(inventory).inventory
    return Evidence(
        submitted=submitted,
        accounts=accounts,
        mailbox_egress={
            f"{mailbox.local_part}@{domain.name}": mailbox.egress
            for domain in fleet.domains
            for mailbox in domain.mailboxes
        },
        exits={e.id: Exit(str(e.public_ip), e.helo_name) for e in fleet.egresses},
        sightings=tuple(
            Sighting(record, delivery.raw.read_bytes(), verdict)
            for record, delivery, verdict in zip(kept, deliveries, verdicts, strict=True)
        ),
        refusals=tuple(record for record in records if record.kind not in KEPT),
        connections=tuple(lab.proxies.connections() if connections is None else connections),
    )


def settled_records(lab: Lab) -> list[Record]:
    """The records once nothing is added any more: a message too many may still be under way."""
    deadline = time.monotonic() + _SETTLE_TIMEOUT_S
    records = list(lab.receivers.records())
    while True:
        time.sleep(_SETTLE_S)
        again = list(lab.receivers.records())
        if len(again) == len(records):
            return again
        records = again
        if time.monotonic() > deadline:
            raise DemoError(
                f"receivers still get mail {_SETTLE_TIMEOUT_S:.0f} s after every message is final"
            )
