"""Prints DNS records as lines of a zone file (RFC 1035 section 5), ready to be pasted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controller.cli.command import Session
from controller.cli.output import as_data, print_json


def print_records(session: Session, records: Iterable[Any]) -> None:
    """Absolute names; columns aligned; what a record is for stands above each run of them."""
    if session.json:
        print_json([as_data(record) for record in records])
        return
    rows = list(records)
    widest = max((len(row.name) for row in rows), default=0) + 1
    purpose = None
    for row in rows:
        if row.purpose != purpose:
            purpose = row.purpose
            print(f"; {_TITLES.get(purpose, purpose)}")
        print(f"{row.name + '.':<{widest}} {row.ttl:>6} IN {row.type:<4} {row.data}")


_TITLES = {
    "dkim": "DKIM: public keys",
    "spf": "SPF: who may send",
    "dmarc": "DMARC: what receivers do with forgeries",
    "ehlo": "EHLO names of the exits",
    "ptr": "reverse: set at the provider of the address",
    "mx": "where bounces and replies go",
}
