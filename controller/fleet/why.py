"""postfleet why: reads what applies to something; the planner's code explains it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from postfleet.v1 import fleet_pb2

from controller.fleet.errors import BadRequestError, NotFoundError
from controller.fleet.why_campaign import why_campaign
from controller.fleet.why_egress import node_words as _node
from controller.fleet.why_egress import why_egress
from controller.message_life import FINAL, State
from controller.planner import ledger
from controller.planner.assignment import Moment, accounts_in
from controller.planner.boxes import Box, Slot
from controller.planner.budgets import Budgets
from controller.planner.calendar import hour_of
from controller.planner.lanes import WARM_UP
from controller.planner.limits import Limit, Sender
from controller.planner.reasons import internal_words
from controller.planner.settings import Settings, settings_of, week_of
from controller.planner.special import caps_for
from controller.planner.warm_up import allowance
from controller.planner.warm_up_caps import warm_up_account
from controller.planner.why import Fact, Situation, Stop, verdict, why_mailbox
from controller.store import Row, Store, Transaction, queries

_SQL = queries.load("why")
_SETTINGS = queries.load("inventory")["settings"]
_PROGRESS = queries.load("warm_up")["progress"]


async def explain(store: Store, request: fleet_pb2.WhyRequest) -> fleet_pb2.WhyReply:
    """Answers for the kinds of WhyRequest. Raises NotFoundError, BadRequestError."""
    subject = f"{request.kind} {request.id}"
    async with store.transaction() as tx:
        match request.kind:
            case "mailbox":
                facts = await _mailbox(tx, request.id.lower())
            case "message":
                facts = await _message(tx, request.id)
            case "egress":
                facts = await why_egress(tx, request.id)
            case "campaign":
                facts = await why_campaign(tx, request.id, await _settings(tx))
            case kind:
                there = "mailbox, message, egress and campaign"
                raise BadRequestError(f"kind: {kind!r}; there are {there}")
    return fleet_pb2.WhyReply(
        subject=subject, verdict=verdict(facts, subject), facts=[_told(fact) for fact in facts]
    )


async def _settings(tx: Transaction) -> Settings:
    stored = await tx.fetch_optional(_SETTINGS)
    return settings_of(stored["value"] if stored else None)


async def _mailbox(
    tx: Transaction, address: str, provider: str | None = None, lane: int | None = None
) -> list[Fact]:
    """`provider`, `lane`: of the message that it is asked about for."""
    settings = await _settings(tx)
    across_clients = settings.warm_up.across_clients
    row = await tx.fetch_optional(_SQL["mailbox"], address=address, across_clients=across_clients)
    if row is None:
        raise NotFoundError(f"there is no mailbox {address!r}; `postfleet mailbox list` shows them")
    now = await tx.now()
    box = _box(row, settings)
    warm_ups = await _warm_ups(tx, row, settings)
    if provider is not None:
        providers = [provider]
    else:
        toward = {each["provider"] for each in warm_ups if each["provider"]}
        providers = sorted({*await _providers(tx, box, now), *toward})
    client = {"id": row["client_id"], "per_day": row["per_day"]}
    caps = await caps_for(tx, client, [box], settings)
    accounts = accounts_in([box], providers, Moment(now, now), curved=caps.curved)
    situation = Situation(
        box,
        now,
        Budgets(caps, await ledger.used(tx, accounts)),
        _states(row, warm_ups, settings),
        await _stops(tx, box, now),
        providers,
        await _special(tx, box, warm_ups, settings),
        await _waiting(tx, box, now + settings.horizon) if provider is None else "this message",
        _node(row),
        *_internal(row, box, settings, lane),
    )
    return why_mailbox(situation)


async def _message(tx: Transaction, id_: str) -> list[Fact]:
    row = await tx.fetch_optional(_SQL["message"], id=id_)
    if row is None:
        raise NotFoundError(f"there is no message {id_!r}; `postfleet message list` shows them")
    state = State(row["state"])
    facts = [Fact("state", _state_words(row), since=row["final_at"] or row["accepted_at"],
                  evidence="postfleet message show")]  # fmt: skip
    if state in FINAL or state not in (State.ACCEPTED, State.SCHEDULED):
        return facts
    now = await tx.now()
    later = row["not_before"] > now
    facts.append(
        Fact(
            "time",
            f"not before {row['not_before']:%Y-%m-%d %H:%M:%S} UTC",
            binds=later,
            until=row["not_before"] if later else None,
        )
    )
    facts.append(Fact("provider", f"{row['recipient']} is at {row['provider']}"))
    if row["attempts"]:
        facts.append(Fact("attempts", f"{row['attempts']}, charged to {row['charged_day']}"))
    if state is State.SCHEDULED:
        facts.append(Fact("slot", f"it has one of {row['mailbox']}, through {row['egress_id']}"))
        box = await tx.fetch_optional(_SQL["mailbox"], address=row["mailbox"], across_clients=False)
        node = _node(box) if box else ""
        facts.append(Fact("node", node or "its egress is on no node", binds=not node))
        return facts
    address = row["mailbox"]
    if address is None:
        internal_days = (await _settings(tx)).warm_up.internal_days
        found = await tx.fetch_optional(
            _SQL["next_box"], client_id=row["client_id"], now=now, internal_days=internal_days
        )
        if found is None:
            return [*facts, Fact("mailboxes", "the client has no mailbox", binds=True)]
        address = found["address"]
        words = f"any of {found['mailboxes']}; {address} comes first, as below"
        facts.append(Fact("mailboxes", words))
    queue = {
        key: row[key] for key in ("client_id", "lane", "provider", "mailbox", "not_before", "id")
    }
    ahead = await tx.fetch_value(_SQL["ahead"], **queue)
    more = " or more" if ahead >= 1000 else ""
    facts.append(Fact("queue", f"{ahead:,}{more} older messages to {row['provider']} before it"))
    return facts + await _mailbox(tx, address, row["provider"], row["lane"])


def _state_words(row: Row) -> str:
    where = f" on node {row['node_id']}" if row["node_id"] and row["state"] != "accepted" else ""
    queue = f", queue id {row['queue_id']}" if row["queue_id"] else ""
    reason = f": {row['reason']}" if row["reason"] else ""
    return f"{row['state']}{where}{queue}{reason}"


def _box(row: Row, settings: Settings) -> Box:
    return Box(
        Sender(row["address"], row["egress_id"], row["domain"], row["client_id"]),
        row["display_name"],
        week_of(row["time_zone"], tuple(row["windows"])),
        row["seed"],
        Slot(row["due_at"], row["slot_at"], row["held"], row["held_since"], row["held_until"]),
        internal=_is_internal(row, settings),
    )


def _is_internal(row: Row, settings: Settings) -> bool:
    day = row["warm_up_day"]
    return day is not None and day <= settings.warm_up.internal_days


def _internal(row: Row, box: Box, settings: Settings, lane: int | None) -> tuple[str, bool]:
    """What its internal days are, and whether they stop what is asked about."""
    if not box.internal:
        return "", False
    words = internal_words(box.address, row["warm_up_day"], settings.warm_up.internal_days)
    if not row["correspondents"]:
        whose = "the fleet" if settings.warm_up.across_clients else "its client"
        return f"{words}, and {whose} has no other mailbox to write with", True
    return words, lane is not None and lane != WARM_UP


async def _providers(tx: Transaction, box: Box, now: datetime) -> list[str]:
    rows = await tx.fetch_all(
        _SQL["providers"],
        egress_id=box.sender.egress_id,
        domain=box.sender.domain,
        hour=hour_of(now),
    )
    return [row["provider"] for row in rows]


async def _warm_ups(tx: Transaction, row: Row, settings: Settings) -> list[Row]:
    """Of the mailbox and of its egress, for all mail and toward providers."""
    return await tx.fetch_all(
        _PROGRESS,
        mailboxes=[row["address"]],
        egresses=[row["egress_id"]],
        **settings.curves_as_columns(),
    )


def _warm_up_words(row: Row, settings: Settings) -> str:
    curve = settings.curve(row["scope"], row["provider"])
    toward = f" toward {row['provider']}" if row["provider"] else ""
    most = allowance(curve, row["day"])
    return f"day {row['day']} of {curve[-1][0]} of its warm-up{toward}, {most:,} a day"


def _states(
    row: Row, warm_ups: Sequence[Row], settings: Settings
) -> Sequence[tuple[str, str, str, str]]:
    warm = {
        each["scope"]: _warm_up_words(each, settings) for each in warm_ups if not each["provider"]
    }
    client = "retired" if row["client_retired"] else "active"
    return (
        ("client", row["client_id"], client, ""),
        ("domain", row["domain"], row["domain_state"], ""),
        ("egress", row["egress_id"], row["egress_state"], warm.get("egress", "")),
        ("mailbox", row["address"], row["state"], warm.get("mailbox", "")),
    )


async def _stops(tx: Transaction, box: Box, now: datetime) -> list[Stop]:
    sender = box.sender
    rows = await tx.fetch_all(
        _SQL["suspensions"],
        scopes=["client", "domain", "egress", "mailbox"],
        subjects=[sender.client_id, sender.domain, sender.egress_id, sender.mailbox],
        now=now,
    )
    return [Stop(**row) for row in rows]


async def _special(
    tx: Transaction, box: Box, warm_ups: Sequence[Row], settings: Settings
) -> dict[tuple[Limit, str], str]:
    """Why pairs of this mailbox and a provider may send less: receivers' words, and warm-ups."""
    rows = await tx.fetch_all(
        _SQL["slow_downs"], egress_id=box.sender.egress_id, domain=box.sender.domain
    )
    found = {
        warm_up_account(each["scope"], each["subject"], each["provider"]): _warm_up_words(
            each, settings
        )
        for each in warm_ups
        if each["provider"]
    }
    for row in rows:
        limit, subject = Limit.DOMAIN_PROVIDER_HOUR, f"{row['subject']}/{row['provider']}"
        if row["scope"] == "provider-egress":
            limit, subject = Limit.PROVIDER_EGRESS_HOUR, f"{row['provider']}/{row['subject']}"
        found[limit, subject] = row["reason"]
    return found


async def _waiting(tx: Transaction, box: Box, until: datetime) -> str:
    row = await tx.fetch_one(
        _SQL["waiting"],
        client_id=box.sender.client_id,
        address=box.address,
        until=until,
        internal=box.internal,
    )
    own, shared = row["own"], row["shared"]
    if box.internal:
        return f"{own:,} of warm-up mail" if own else ""
    return f"{own:,} for it, {shared:,} for any of the client's" if own or shared else ""


def _told(fact: Fact) -> fleet_pb2.WhyFact:
    return fleet_pb2.WhyFact(
        name=fact.name,
        value=fact.value,
        binds=fact.binds,
        evidence=fact.evidence,
        change=fact.change,
        since=_stamp(fact.since),
        until=_stamp(fact.until),
    )


def _stamp(instant: datetime | None) -> Timestamp | None:
    if instant is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp
