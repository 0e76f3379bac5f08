"""Proves transports: one small message through each, to the address where the gateway answers.

    intake -> opendkim -> cleanup -> qmgr -> sender map -> egress-<id> smtp(8) -> nft -> gateway

The gateway's status shows the nonce of the last probe that arrived for an egress. All messages are
handed over at once and waited for together. A message that did not arrive is deleted from the queue
and the log lines that name it become the error. Needs no lease and reaches no one outside.
"""

from __future__ import annotations

import re
import secrets
import smtplib
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate

from node_agent.apply import mail_log
from node_agent.apply.command import run
from node_agent.apply.errors import ProbeFailed
from node_agent.apply.layout import INTAKE_ADDRESS, INTAKE_PORT, PROBE_ADDRESS, Layout
from node_agent.local.errors import LocalError
from node_agent.local.gateway_blocking import BlockingGatewayClient

# All is done in milliseconds; a busy machine gets more time as long as one by one arrives.
_PATIENCE_S = 30.0
# Once Postfix has said no to all that is missing, only a second try can help; a short backoff makes
# one within this time.
_REFUSED_S = 5.0
_LONGEST_S = 180.0
_STEP_S = 0.1
_QUEUED = re.compile(r"queued as ([0-9A-Za-z]+)")
_NOT_SENT = re.compile(r" ([0-9A-Za-z]+): to=[^\n]* status=(?!sent)")
_CANNOT_RUN = re.compile(r" postfix/egress-([a-z0-9-]+)/smtp\[\d+\]: (?:fatal|panic): ")
_EGRESSES_SHOWN = 3


class Patience:
    """How long to go on: _PATIENCE_S after the last progress, _LONGEST_S in all, and _REFUSED_S
    after the first refusal since that progress."""

    _until: float

    def __init__(self) -> None:
        self._end = time.monotonic() + _LONGEST_S
        self.renew()

    def refused(self) -> None:
        """All that is still wanted was refused."""
        self._until = min(self._until, time.monotonic() + _REFUSED_S)

    def renew(self) -> None:
        """There was progress."""
        self._until = time.monotonic() + _PATIENCE_S

    def over(self) -> bool:
        """True when waiting longer is of no use."""
        return time.monotonic() > min(self._until, self._end)


def probe(egress_ids: list[str], layout: Layout) -> None:
    """Raise ProbeFailed unless a message arrives through every one of these transports."""
    if not egress_ids:
        return
    patience = Patience()
    log_offset = mail_log.size(layout.mail_log)
    nonces = {egress_id: f"probe-{secrets.token_hex(12)}" for egress_id in egress_ids}
    queue_ids: dict[str, str] = {}
    try:
        _hand_over(nonces, queue_ids, patience)

        def said() -> str:
            return mail_log.added_since(layout.mail_log, log_offset)

        missing = _wait(nonces, queue_ids, said, patience)
        if missing:
            raise ProbeFailed(_explain(missing, len(nonces), queue_ids, said()))
    finally:
        _delete(queue_ids)


def _hand_over(nonces: dict[str, str], queue_ids: dict[str, str], patience: Patience) -> None:
    """Submit every probe; fill `queue_ids` (egress id -> queue id). Refusals are retried."""
    while True:
        try:
            with smtplib.SMTP(str(INTAKE_ADDRESS), INTAKE_PORT, "localhost", timeout=10) as smtp:
                for egress_id, nonce in nonces.items():
                    if egress_id not in queue_ids:
                        queue_ids[egress_id] = _submit(smtp, egress_id, nonce)
                        patience.renew()
            return
        except (OSError, smtplib.SMTPException) as error:
            if isinstance(error, smtplib.SMTPResponseException):
                patience.refused()
            if patience.over():
                raise ProbeFailed(
                    f"the intake {INTAKE_ADDRESS}:{INTAKE_PORT} took {len(queue_ids)} of "
                    f"{len(nonces)} probes: {error}; see the mail log and opendkim's journal"
                ) from error
            time.sleep(5 * _STEP_S)


def _submit(smtp: smtplib.SMTP, egress_id: str, nonce: str) -> str:
    sender = f"probe@{egress_id}.probe.postfleet.invalid"
    recipient = f"{nonce}@[{PROBE_ADDRESS}]"
    text = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: probe of egress {egress_id}\r\n"
        f"Message-ID: <{nonce}@{egress_id}.probe.postfleet.invalid>\r\n"
        f"Date: {formatdate()}\r\n\r\n{nonce}\r\n"
    )
    smtp.ehlo_or_helo_if_needed()
    for code, words in (smtp.mail(sender), smtp.rcpt(recipient)):
        if code != 250:
            raise smtplib.SMTPResponseException(code, words)
    code, words = smtp.data(text.encode())
    queued = _QUEUED.search(words.decode("utf-8", "replace"))
    if code != 250 or queued is None:
        raise smtplib.SMTPResponseException(code, words)
    return queued[1]


def _wait(
    nonces: dict[str, str],
    queue_ids: dict[str, str],
    said: Callable[[], str],
    patience: Patience,
) -> list[str]:
    """Return the egresses whose probe did not arrive as long as there was patience."""
    missing = list(nonces)
    while True:
        try:
            with BlockingGatewayClient() as gateway:
                arrived = {e.egress_id: e.last_probe for e in gateway.status().egresses}
        except LocalError:
            arrived = {}
        still = [one for one in missing if arrived.get(one) != nonces[one]]
        if len(still) < len(missing):
            patience.renew()
        missing = still
        if all_refused({one: queue_ids[one] for one in missing}, said()):
            patience.refused()
        if not missing or patience.over():
            return missing
        time.sleep(_STEP_S)


def all_refused(queue_ids: Mapping[str, str], log: str) -> bool:
    """Whether the log says of all of these (egress id to queue id) that nothing will come: the
    message was put off or refused, or smtp(8) of that transport cannot run. Pure."""
    told = {match[1] for match in _NOT_SENT.finditer(log)}
    broken = {match[1] for match in _CANNOT_RUN.finditer(log)}
    return all(egress in broken or queue_id in told for egress, queue_id in queue_ids.items())


def _explain(missing: list[str], asked: int, queue_ids: dict[str, str], log: str) -> str:
    lines = log.splitlines()
    words = []
    for egress_id in missing[:_EGRESSES_SHOWN]:
        own = [line for line in lines if f" {queue_ids[egress_id]}: to=" in line]
        if not own:
            # smtp(8) that cannot start says so under the transport's name, without a queue id.
            own = [line for line in lines if f"postfix/egress-{egress_id}/" in line]
        words.append(f"{egress_id}: {own[-1].strip() if own else 'no word in the mail log'}")
    return (
        f"{len(missing)} of {asked} probes did not reach the gateway, and none did "
        f"in the last {_PATIENCE_S:g} s: {' | '.join(words)}"
    )


def _delete(queue_ids: dict[str, str]) -> None:
    """Take what is left of the probes out of the queue; those that arrived are gone already."""
    if queue_ids:
        run("/usr/sbin/postsuper", "-d", "-", stdin="".join(f"{i}\n" for i in queue_ids.values()))
