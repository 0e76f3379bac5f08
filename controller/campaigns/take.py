"""Takes recipients: the first message goes through intake, what follows is kept until its time.

One transaction for each request, so a recipient is there with all of it or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from postfleet.v1 import campaign_pb2

from controller.campaigns.define import SQL, never_meet, pool_of
from controller.campaigns.letter import message_key
from controller.campaigns.settings import Settings, stored
from controller.fleet.errors import BadRequestError, NotFoundError, RefusedError
from controller.intake.check import Place, Submission
from controller.intake.ingest import Result, Taken, ingest
from controller.intake.rejection import Rejection
from controller.store import Row, Store, Transaction

MOST_RECIPIENTS = 1000
_ROW = (
    ("campaign_id", "text"), ("recipient", "text"), ("time_zone", "text"),
    ("message_id", "text"), ("state", "text"), ("reason", "text"),
)  # fmt: skip
_FOLLOW_UP = (
    ("campaign_id", "text"), ("recipient", "text"), ("step", "int4"), ("address", "text"),
    ("content", "bytea"),
)  # fmt: skip


@dataclass(slots=True)
class Target:
    """A campaign that takes recipients: its settings and what its pool's windows are.

    `refused`: by time zone, why a recipient there can never be written to.
    """

    settings: Settings
    client: Row
    pool: Row
    lanes: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A recipient of a request that is not there yet. `index`: in the request."""

    index: int
    address: str
    zone: str
    contents: tuple[bytes, ...]

    @property
    def folded(self) -> str:
        return self.address.lower()


async def target(store: Store, campaign_id: str) -> Target:
    """The campaign of that name. Raises NotFoundError, RefusedError."""
    async with store.transaction() as tx:
        row = await tx.fetch_optional(SQL["lock"], id=campaign_id)
        if row is None:
            raise NotFoundError(f"there is no campaign {campaign_id!r}")
        if row["state"] == "cancelled":
            raise RefusedError([f"campaign {campaign_id} was cancelled; it takes no recipients"])
        settings = stored(row)
        client = await tx.fetch_optional(SQL["client"], id=settings.client_id)
        if client is None:
            raise RefusedError([f"client {settings.client_id!r} is not in the inventory"])
        return Target(settings, client, await pool_of(tx, settings))


async def take(
    store: Store, to: Target, recipients: Sequence[campaign_pb2.CampaignRecipient]
) -> campaign_pb2.ImportRecipientsReply:
    """Raises BadRequestError, StoreError; what was answered before stays true."""
    wanted = _wanted(to, recipients)
    present = await _known(store, to, wanted)
    fresh = [each for each in wanted if each.folded not in present]
    await _open_lanes(store, to, {each.zone for each in fresh})
    reply = campaign_pb2.ImportRecipientsReply(present=len(recipients) - len(fresh))
    placed = [each for each in fresh if each.zone in to.lanes]
    for each in fresh:
        if each.zone not in to.lanes:
            _refuse(reply, each.index, "windows-never-meet", to.refused[each.zone])
    results = await _store(store, to, placed)
    for each, result in zip(placed, results, strict=True):
        if isinstance(result, Rejection):
            _refuse(reply, each.index, result.code, result.error)
        else:
            reply.accepted += 1
    return reply


def _refuse(reply: campaign_pb2.ImportRecipientsReply, index: int, code: str, error: str) -> None:
    reply.refused.add(index=index, code=code, error=error)


def _wanted(to: Target, recipients: Sequence[campaign_pb2.CampaignRecipient]) -> list[Wanted]:
    """Each address once."""
    if len(recipients) > MOST_RECIPIENTS:
        raise BadRequestError(f"{len(recipients):,} recipients; at most {MOST_RECIPIENTS:,}")
    steps = 1 + len(to.settings.delays_days)
    found: dict[str, Wanted] = {}
    for index, each in enumerate(recipients):
        if len(each.contents) != steps:
            words = f"{len(each.contents)} messages, the campaign has {steps}"
            raise BadRequestError(f"recipients[{index}].contents: {words}")
        zone = each.time_zone or to.settings.time_zone
        wanted = Wanted(index, each.address, zone, tuple(each.contents))
        found.setdefault(wanted.folded, wanted)
    return list(found.values())


async def _known(store: Store, to: Target, wanted: Sequence[Wanted]) -> set[str]:
    asked = [each.folded for each in wanted]
    rows = await store.fetch_all(SQL["known"], id=to.settings.id, recipients=asked)
    return {row["recipient"] for row in rows}


async def _open_lanes(store: Store, to: Target, zones: Iterable[str]) -> None:
    """Lanes for zones that were not met before, where the windows there ever open."""
    new = sorted(set(zones) - to.lanes.keys() - to.refused.keys())
    good = []
    for zone in new:
        words = wrong_zone(zone) or never_meet(to.settings.windows, zone, to.client, to.pool)
        if words:
            to.refused[zone] = words
        else:
            good.append(zone)
    if good:
        async with store.transaction() as tx:
            to.lanes |= await lanes_in(tx, to.settings.id, good, follow_up=False)


def wrong_zone(zone: str) -> str:
    """Why it is no time zone; '' where it is one."""
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        return f"{zone!r} is no time zone of the IANA database"
    return ""


async def lanes_in(
    tx: Transaction, campaign_id: str, zones: Sequence[str], *, follow_up: bool
) -> dict[str, int]:
    """The lanes of these time zones, made where they are missing."""
    asked = {"id": campaign_id, "zones": sorted(zones), "follow_up": follow_up}
    await tx.execute(SQL["make_lanes"], **asked)
    return {row["time_zone"]: row["id"] for row in await tx.fetch_all(SQL["lanes"], **asked)}


def words_of(campaign_id: str) -> str:
    """What stands in a waiting message, for lists."""
    return f"it waits for its turn in campaign {campaign_id}"


async def _store(store: Store, to: Target, placed: Sequence[Wanted]) -> list[Result]:
    settings = to.settings
    watched = bool(settings.delays_days) or settings.on_uncertain == "resend"
    batch = [
        Submission(
            message_key(settings.id, 0, each.address),
            settings.client_id,
            "",
            each.address,
            None,
            each.contents[0],
            Place(to.lanes[each.zone], words_of(settings.id), watched),
        )
        for each in placed
    ]

    async def also(tx: Transaction, results: Mapping[int, Result]) -> None:
        # Whoever cancels meanwhile waits for this, or this sees it.
        row = await tx.fetch_one(SQL["lock"], id=settings.id)
        if row["state"] == "cancelled":
            raise RefusedError([f"campaign {settings.id} was cancelled meanwhile"])
        await _write(tx, to, {placed[n]: result for n, result in results.items()}, watched)

    return await ingest(store, batch, also=also)


async def _write(
    tx: Transaction, to: Target, results: Mapping[Wanted, Result], watched: bool
) -> None:
    id_ = to.settings.id
    ordered = sorted(results.items(), key=lambda each: each[0].folded)
    rows = []
    for each, result in ordered:
        if isinstance(result, Taken):
            state, reason = ("open" if watched else "done"), ""
            message = str(result.message_id)
        else:
            state, reason, message = "refused", f"{result.code}: {result.error}"[:300], None
        rows.append((id_, each.folded, each.zone, message, state, reason))
    await tx.copy_in("campaign_recipient", [n for n, _ in _ROW], rows, [k for _, k in _ROW])
    follow = [
        (id_, each.folded, step, each.address, content)
        for each, result in ordered
        if isinstance(result, Taken)
        for step, content in enumerate(each.contents[1:], 1)
    ]
    if follow:
        names, kinds = zip(*_FOLLOW_UP, strict=True)
        await tx.copy_in("campaign_follow_up", names, follow, kinds)
    await tx.execute(SQL["run_again"], id=id_)
