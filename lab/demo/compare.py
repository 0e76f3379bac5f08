"""Holds the controller's account against the receivers' records. Pure; the demo's whole judgement.

Every difference is found and named; none is forgiven. CODES says what each one means.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence

from lab.demo.facts import Account, Difference, Evidence, Sighting, Submitted
from lab.demo.octets import body_difference, header_difference
from lab.demo.witness import overlaps, routes
from lab.receivers.decide import untagged
from lab.receivers.records import Record

CODES = {
    "unaccounted": "the controller accepted it and does not know it",
    "unfinished": "it is in no final state",
    "lost": "the controller says sent, no receiver has it",
    "doubled": "receivers have it more than once",
    "contradicted": "the controller says it did not go out, a receiver has it",
    "stranger": "a receiver has a message that nobody submitted",
    "wrong-recipient": "delivered to another address than asked for",
    "wrong-sender": "sent by another mailbox than the controller says, or than was asked for",
    "wrong-egress": "the controller let another egress send than the mailbox belongs to",
    "wrong-exit-ip": "came from another address than its egress has",
    "unwitnessed": "the proxies' log has no connection from that exit to that receiver",
    "two-senders": "two nodes had connections open through one proxy at the same time",
    "wrong-helo": "EHLO is not the egress's name",
    "helo-not-ptr": "EHLO is not the PTR name of the source address",
    "fcrdns": "the PTR name does not lead back to the source address",
    "no-tls": "delivered without TLS",
    "dkim": "no DKIM signature of the sender's domain that verifies",
    "spf": "SPF does not pass",
    "dmarc": "DMARC does not pass",
    "body": "the body's octets differ",
    "header": "a header field as submitted is missing or changed",
    "refusal-unreported": "a receiver refused it for good, the controller says otherwise",
    "bounced-without-words": "bounced, but not with the words of the receiver that refused it",
    "deferral-unreported": "a receiver deferred it, the controller counts only one attempt",
}
_TOKEN = re.compile(r"\+([0-9a-v]{26})@")


def token(sender: str) -> str:
    """The message id that an envelope sender carries; '' when it carries none."""
    found = _TOKEN.search(sender)
    return found[1] if found else ""


def compare(evidence: Evidence) -> list[Difference]:
    """All differences, sorted by what they are; empty when the account is true."""
    seen: dict[str, list[Sighting]] = defaultdict(list)
    refused: dict[str, list[Record]] = defaultdict(list)
    for sighting in evidence.sightings:
        seen[token(sighting.record.sender)].append(sighting)
    for record in evidence.refusals:
        refused[token(record.sender)].append(record)
    found = list(_strangers(evidence, seen))
    found += [Difference("two-senders", "", detail) for detail in overlaps(evidence.connections)]
    witnessed = routes(evidence.connections)
    for message_id, submitted in evidence.submitted.items():
        account = evidence.accounts.get(message_id)
        if account is None:
            found.append(Difference("unaccounted", message_id, submitted.recipient))
            continue
        sightings = seen.get(message_id, [])
        found += _outcome(account, sightings, refused.get(message_id, []))
        found += _sender(submitted, account, evidence)
        for sighting in sightings:
            found += _delivery(submitted, account, sighting, evidence)
            record = sighting.record
            if (record.source, record.target) not in witnessed:
                detail = f"{record.source} to {record.target}"
                found.append(Difference("unwitnessed", message_id, detail))
    return sorted(found)


def _strangers(evidence: Evidence, seen: dict[str, list[Sighting]]) -> Iterator[Difference]:
    for message_id, sightings in seen.items():
        if message_id not in evidence.submitted:
            for sighting in sightings:
                record = sighting.record
                detail = f"{record.sender or '<>'} to {record.recipient} from {record.source}"
                yield Difference("stranger", message_id, detail)


def _outcome(
    account: Account, sightings: Sequence[Sighting], refusals: Sequence[Record]
) -> Iterator[Difference]:
    """The state against what receivers have and said."""
    message_id, state = account.message_id, account.state
    if len(sightings) > 1:
        where = ", ".join(f"{s.record.provider} {s.record.raw}" for s in sightings)
        yield Difference("doubled", message_id, f"{len(sightings)} times: {where}")
    final_words = [record for record in refusals if record.kind == "refused"]
    if state == "sent":
        if not sightings:
            yield Difference("lost", message_id, f"to {account.recipient}: {account.reason}")
        if any(record.kind == "deferred" for record in refusals) and account.attempts < 2:
            detail = f"{refusals[0].reply!r} at {refusals[0].stage}"
            yield Difference("deferral-unreported", message_id, detail)
    elif sightings:
        detail = f"{state}, yet {sightings[0].record.provider} has it"
        yield Difference("contradicted", message_id, detail)
    if state == "bounced":
        if not any(_quotes(account.reason, record.reply) for record in final_words):
            said = final_words[-1].reply if final_words else "nothing"
            detail = f"controller: {account.reason!r}; receiver: {said!r}"
            yield Difference("bounced-without-words", message_id, detail)
    elif final_words:
        detail = f"{state}; receiver: {final_words[-1].reply!r}"
        yield Difference("refusal-unreported", message_id, detail)
    if state not in ("sent", "bounced", "expired"):
        detail = f"{state} on {account.node or 'no node'}: {account.reason}"
        yield Difference("unfinished", message_id, detail)


def _quotes(reason: str, reply: str) -> bool:
    """Whether the reason holds the receiver's reply; Postfix logs its lines joined by blanks."""
    return bool(reply) and " ".join(reply.split()) in " ".join(reason.split())


def _sender(submitted: Submitted, account: Account, evidence: Evidence) -> Iterator[Difference]:
    """Mailbox and egress in the account against what was asked for and the inventory."""
    if submitted.mailbox and account.mailbox != submitted.mailbox:
        detail = f"asked for {submitted.mailbox}, account says {account.mailbox}"
        yield Difference("wrong-sender", account.message_id, detail)
    egress = evidence.mailbox_egress.get(account.mailbox)
    if account.egress != egress and (account.egress or account.state == "sent"):
        detail = f"{account.mailbox} belongs to {egress}, account says {account.egress}"
        yield Difference("wrong-egress", account.message_id, detail)


def _delivery(
    submitted: Submitted, account: Account, sighting: Sighting, evidence: Evidence
) -> Iterator[Difference]:
    """One delivered copy against what was submitted and promised."""
    record, verdict = sighting.record, sighting.verdict

    def differs(what: str, detail: str) -> Difference:
        return Difference(what, submitted.message_id, detail)

    if record.recipient.lower() != submitted.recipient.lower():
        yield differs("wrong-recipient", f"{record.recipient}, not {submitted.recipient}")
    if untagged(record.sender) != account.mailbox:
        yield differs("wrong-sender", f"envelope {record.sender}, account {account.mailbox}")
    exit_ = evidence.exits.get(evidence.mailbox_egress.get(account.mailbox, ""))
    if exit_ is None or record.source != exit_.public_ip:
        yield differs("wrong-exit-ip", f"{record.source}, not {exit_ and exit_.public_ip}")
    if exit_ is None or record.helo.lower() != exit_.helo_name:
        yield differs("wrong-helo", f"{record.helo}, not {exit_ and exit_.helo_name}")
    if record.helo.lower() not in verdict.ptr:
        yield differs("helo-not-ptr", f"{record.helo}; PTR of {record.source}: {verdict.ptr}")
    if verdict.fcrdns != "pass":
        yield differs("fcrdns", f"{record.source}: {verdict.ptr} ({verdict.fcrdns})")
    if not record.tls:
        yield differs("no-tls", f"at {record.provider}")
    domain = account.mailbox.rpartition("@")[2]
    if verdict.dkim != "pass" or verdict.dkim_domain != domain:
        found = f"{verdict.dkim} {verdict.dkim_domain}: {verdict.dkim_detail}"
        yield differs("dkim", f"{found} (expected {domain})")
    if verdict.spf != "pass":
        yield differs("spf", f"{verdict.spf}: {verdict.spf_detail}")
    if verdict.dmarc != "pass":
        yield differs("dmarc", f"{verdict.dmarc}: {verdict.dmarc_detail}")
    body = body_difference(submitted.content, sighting.content)
    if body:
        yield differs("body", body)
    header = header_difference(submitted.content, sighting.content)
    if header:
        yield differs("header", header)
