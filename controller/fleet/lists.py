"""Lists for operators: rows of the store as protocol messages, in pages ordered by id."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from typing import Any

from google.protobuf.json_format import ParseDict
from postfleet.v1 import fleet_pb2

from controller.fleet.dns_records import Record, SendingDomain, domain_records, egress_records
from controller.fleet.pages import clean, page, page_size
from controller.planner.settings import Settings, settings_of
from controller.planner.warm_up import allowance
from controller.store import Store, Transaction, queries

_SQL = queries.load("fleet")
_SETTINGS = queries.load("inventory")["settings"]


async def nodes(store: Store | Transaction, request: fleet_pb2.ListRequest) -> fleet_pb2.NodeList:
    """All nodes, also those out of service."""
    rows, token = await _page(store, "nodes", request, "id")
    return fleet_pb2.NodeList(nodes=[_node(row) for row in rows], next_page_token=token)


def _node(row: dict[str, Any]) -> fleet_pb2.Node:
    state = _node_state(row)
    for name in ("decommissioned", "connected", "enrolled"):
        del row[name]
    return fleet_pb2.Node(**row, state=state)


def _node_state(row: dict[str, Any]) -> str:
    if row["decommissioned"]:
        return "decommissioned"
    if not row["enrolled"]:
        return "new"
    if row["fenced"]:
        return "fenced"
    if row["connected"] and row["draining"]:
        return "draining" if row["egresses"] else "drained"
    if row["connected"]:
        return "cordoned" if row["cordoned"] else "connected"
    return "enrolled" if row["last_seen"] is None else "lost"


async def mailboxes(store: Store, request: fleet_pb2.ListRequest) -> fleet_pb2.MailboxList:
    """Mailboxes with where they are and what they sent today."""
    rows, token = await _page(store, "mailboxes", request, "address")
    settings = await _pacing(store)
    found = [_mailbox(row, settings) for row in rows]
    return fleet_pb2.MailboxList(mailboxes=found, next_page_token=token)


def _mailbox(row: dict[str, Any], settings: Settings) -> fleet_pb2.Mailbox:
    cap, warm_up = _day_cap("mailbox", row, settings)
    if row["reason"]:
        row["state"] = "suspended"
    row["reason"] = row["reason"] or warm_up
    return fleet_pb2.Mailbox(**row, daily_cap=cap)


def _day_cap(scope: str, row: dict[str, Any], settings: Settings) -> tuple[int, str]:
    """What it may send today, and how far its warm-up is, where it is warming."""
    day, limit = row.pop("warm_up_day"), settings.day_limit(scope)
    if row["state"] != "warming":
        return limit, ""
    curve = settings.curves[scope]
    return min(limit, allowance(curve, day)), f"day {day} of {curve[-1][0]} of its warm-up"


async def egresses(store: Store, request: fleet_pb2.ListRequest) -> fleet_pb2.EgressList:
    """Egresses with where they are, what they carried today and how they are."""
    rows, token = await _page(store, "egresses", request, "id")
    settings = await _pacing(store)
    found = [_egress(row, settings) for row in rows]
    return fleet_pb2.EgressList(egresses=found, next_page_token=token)


def _egress(row: dict[str, Any], settings: Settings) -> fleet_pb2.EgressRow:
    cap, warm_up = _day_cap("egress", row, settings)
    host, port, only_node = row.pop("host"), row.pop("port"), row.pop("only_node")
    suspended, assignment = row.pop("suspended"), row.pop("assignment")
    healthy, stage, detail = row.pop("healthy"), row.pop("stage"), row.pop("detail")
    reason = suspended
    if not reason and healthy is False:
        reason = f"last probe failed: {stage}: {detail}"
    if not reason and assignment == "releasing":
        reason = f"being given back by {row['node_id']}"
    barred = row.pop("unreachable_from") or []
    if barred:
        nodes = ", ".join(each["node_id"] for each in barred)
        reason = "; ".join(filter(None, [reason, f"out of reach of {nodes}"]))
    if row["state"] in ("active", "warming") and suspended:
        row["state"] = "suspended"
    return fleet_pb2.EgressRow(
        **row,
        endpoint=f"{host}:{port}" if row["kind"] == "socks5" else f"node {only_node}",
        daily_cap=cap,
        reason=reason or warm_up,
        unreachable_from=[ParseDict(each, fleet_pb2.UnreachableFrom()) for each in barred],
    )


async def domains(store: Store, request: fleet_pb2.ListRequest) -> fleet_pb2.DomainList:
    """Sending domains."""
    rows, token = await _page(store, "domains", request, "name")
    found = [fleet_pb2.Domain(**row) for row in rows]
    return fleet_pb2.DomainList(domains=found, next_page_token=token)


async def dns_records(store: Store, request: fleet_pb2.ListRequest) -> fleet_pb2.DnsRecordList:
    """The records of all domains, then of all egresses; a token is the number of the next one."""
    size = page_size(request.page_size)
    token = request.page_token
    start = int(token) if token.isdecimal() and len(token) < 12 else 0
    records = [
        record
        for record in await _records(store, request)
        if request.filter in record.name and request.id in ("", record.name)
    ]
    end = start + size
    return fleet_pb2.DnsRecordList(
        records=[
            fleet_pb2.DnsRecord(
                name=each.name, type=each.type, ttl=each.ttl_s, data=each.data, purpose=each.purpose
            )
            for each in records[start:end]
        ],
        next_page_token=str(end) if end < len(records) else "",
    )


async def _records(store: Store, request: fleet_pb2.ListRequest) -> list[Record]:
    client, node = clean(request.client_id, "client_id"), clean(request.node_id, "node_id")
    async with store.transaction() as tx:
        settings = await tx.fetch_optional(_SETTINGS)
        of_domains = await tx.fetch_all(_SQL["dns_domains"], client_id=client) if not node else []
        of_egresses = await tx.fetch_all(_SQL["dns_egresses"], client_id=client, node_id=node)
    bounce_mx = settings["value"].get("bounce_mx") if settings else None
    return [*_domain_records(of_domains, bounce_mx), *_egress_records(of_egresses)]


def _domain_records(rows: list[dict[str, Any]], bounce_mx: str | None) -> Iterator[Record]:
    for row in rows:
        exits = [IPv4Address(each) for each in row.pop("exits")]
        yield from domain_records(SendingDomain(**row, exits=exits), bounce_mx)


def _egress_records(rows: list[dict[str, Any]]) -> Iterator[Record]:
    for row in rows:
        yield from egress_records(IPv4Address(row["public_ip"]), row["helo_name"])


async def _page(
    store: Store | Transaction, query: str, request: fleet_pb2.ListRequest, key: str
) -> tuple[list[dict[str, Any]], str]:
    size = page_size(request.page_size)
    rows = await store.fetch_all(
        _SQL[query],
        after=clean(request.page_token, "page_token"),
        filter=clean(request.filter, "filter"),
        client_id=clean(request.client_id, "client_id"),
        node_id=clean(request.node_id, "node_id"),
        id=clean(request.id, "id"),
        limit=size + 1,
    )
    return page(rows, size, key)


async def _pacing(store: Store) -> Settings:
    row = await store.fetch_optional(_SETTINGS)
    return settings_of(row["value"] if row else None)
