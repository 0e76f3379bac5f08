"""postfleet campaign start: checks all of it into a temporary file, then hands that over.

So each message is rendered once, what was checked is what is sent, and memory stays flat however
many recipients there are.
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import grpc
from postfleet.v1 import campaign_pb2

from controller.campaigns.load import Loaded
from controller.campaigns.prepare import Prepared
from controller.cli.campaign_check import (
    Checked,
    loaded_or_failure,
    progress,
    refuse_bad,
    run_check,
    summary,
)
from controller.cli.command import Session
from controller.cli.connection import Connection, connected
from controller.cli.exits import Exit
from controller.cli.failure import Failure
from controller.cli.output import as_data, notes, print_json

_LENGTH = struct.Struct("<I")
# The service takes 1,000 recipients and 3 MiB in a request, or a single larger one.
_RECIPIENTS = 500
_OCTETS = 2 * 1024 * 1024
_MOST_ATTEMPTS = 5
_MOST_SHOWN = 20


def start(session: Session, file: Path, dry_run: bool) -> None:
    """The whole command. Raises Failure; says then what was handed over."""
    loaded = loaded_or_failure(file)
    with tempfile.TemporaryFile() as spool:
        checked = run_check(loaded, lambda each: _keep(spool, each))
        refuse_bad(loaded, checked)
        with connected(session) as connection:
            definition = campaign_pb2.DefineCampaignRequest(
                settings=settings_of(loaded), dry_run=dry_run
            )
            defined = connection.ask("DefineCampaign", definition)
            sums: Counter[str] = Counter()
            if not dry_run:
                _hand_over(connection, loaded, spool, checked, sums)
    _tell(session, loaded, checked, defined, sums, dry_run)


def settings_of(loaded: Loaded) -> campaign_pb2.CampaignSettings:
    """The campaign's settings as they travel."""
    campaign = loaded.campaign
    # Each after its length, so that no two campaigns share the octets.
    texts = b"".join(
        _LENGTH.pack(len(octets)) + octets
        for octets in (source.encode("utf-8", "replace") for source in loaded.sources)
    )
    pool = campaign.pool
    return campaign_pb2.CampaignSettings(
        id=campaign.campaign,
        client_id=campaign.client,
        priority=campaign.priority,
        burst_per_hour=campaign.burst_per_hour or 0,
        windows=campaign.windows,
        time_zone=campaign.time_zone or "",
        domains=pool.domains if pool else (),
        mailboxes=pool.mailboxes if pool else (),
        delays_days=loaded.delays_days,
        on_uncertain=campaign.on_uncertain,
        text_sha256=hashlib.sha256(texts).digest(),
    )


def _keep(spool: IO[bytes], each: Prepared) -> None:
    octets = campaign_pb2.CampaignRecipient(
        address=each.address, time_zone=each.zone, contents=each.contents
    ).SerializeToString()
    spool.write(_LENGTH.pack(len(octets)) + octets)


def _kept(spool: IO[bytes]) -> Iterator[campaign_pb2.CampaignRecipient]:
    # By position: a thread of gRPC's may still read for a stream that broke.
    spool.flush()
    at = 0
    while head := os.pread(spool.fileno(), _LENGTH.size, at):
        size = _LENGTH.unpack(head)[0]
        octets = os.pread(spool.fileno(), size, at + _LENGTH.size)
        at += _LENGTH.size + size
        yield campaign_pb2.CampaignRecipient.FromString(octets)


def _requests(
    campaign_id: str, spool: IO[bytes], skip: int
) -> Iterator[campaign_pb2.ImportRecipientsRequest]:
    """All but the first `skip` recipients."""
    request = campaign_pb2.ImportRecipientsRequest(campaign_id=campaign_id)
    octets = 0
    for number, each in enumerate(_kept(spool)):
        if number < skip:
            continue
        size = each.ByteSize()
        if request.recipients and (
            len(request.recipients) == _RECIPIENTS or octets + size > _OCTETS
        ):
            yield request
            request = campaign_pb2.ImportRecipientsRequest(campaign_id=campaign_id)
            octets = 0
        request.recipients.append(each)
        octets += size
    if request.recipients:
        yield request


def _hand_over(
    connection: Connection,
    loaded: Loaded,
    spool: IO[bytes],
    checked: Checked,
    sums: Counter[str],
) -> None:
    """Sends everything; begins again behind what was answered where the stream breaks."""
    attempt = 0
    try:
        with progress() as bar:
            task = bar.add_task("imported", total=checked.recipients)
            while sums["answered"] < checked.recipients:
                before = sums["answered"]
                try:
                    for _ in _answers(connection, loaded.campaign.campaign, spool, sums):
                        bar.update(task, completed=sums["answered"])
                except grpc.RpcError as error:
                    attempt = 1 if sums["answered"] > before else attempt + 1
                    if error.code() is not grpc.StatusCode.UNAVAILABLE or attempt > _MOST_ATTEMPTS:
                        raise connection.failure(error) from None
                    time.sleep(0.2 * 2**attempt)
    except KeyboardInterrupt:
        raise Failure(Exit.INTERRUPTED, f"interrupted: {_so_far(checked, sums)}") from None
    except Failure as failure:
        raise Failure(failure.exit_code, f"{failure}\n{_so_far(checked, sums)}") from None


def _answers(
    connection: Connection, campaign_id: str, spool: IO[bytes], sums: Counter[str]
) -> Iterator[None]:
    sent: deque[campaign_pb2.ImportRecipientsRequest] = deque()

    def sending() -> Iterator[campaign_pb2.ImportRecipientsRequest]:
        for request in _requests(campaign_id, spool, sums["answered"]):
            sent.append(request)
            yield request

    call = connection.campaign.ImportRecipients(sending())
    try:
        for reply in call:
            request = sent.popleft()
            sums["answered"] += len(request.recipients)
            sums["accepted"] += reply.accepted
            sums["present"] += reply.present
            for each in reply.refused:
                sums["refused"] += 1
                if sums["refused"] <= _MOST_SHOWN:
                    address = request.recipients[each.index].address
                    notes().print(f"refused: {address}: {each.code}: {each.error}", markup=False)
            yield
    finally:
        call.cancel()


def _so_far(checked: Checked, sums: Counter[str]) -> str:
    return (
        f"{sums['answered']:,} of {checked.recipients:,} recipients are handed over; the same "
        "command again does the rest, nobody gets a message twice"
    )


def _tell(
    session: Session,
    loaded: Loaded,
    checked: Checked,
    defined: Any,
    sums: Counter[str],
    dry_run: bool,
) -> None:
    if session.json:
        counts = {name: sums[name] for name in ("accepted", "present", "refused")}
        print_json(as_data(defined) | counts
                   | {"recipients": checked.recipients, "dry_run": dry_run})  # fmt: skip
        return
    print("\n".join(summary(loaded, checked)))
    print(f"{defined.mailboxes:,} mailboxes may send it")
    for each in defined.changes:
        print(f"{'would change' if dry_run else 'changed'} {each}")
    if dry_run:
        print("would start it; nothing was changed" if defined.made else "it is there already")
        return
    more = f", {sums['present']:,} were there before" if sums["present"] else ""
    refused = f", {sums['refused']:,} refused" if sums["refused"] else ""
    print(f"{sums['accepted']:,} recipients accepted{more}{refused}")
    if defined.state == "paused":
        print(f"it is paused: `postfleet campaign resume {loaded.campaign.campaign}` lets it go")
