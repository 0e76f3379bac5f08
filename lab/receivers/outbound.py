"""What a receiver sends back later: a delivery status notification, or an abuse report.

Builds the message (RFC 3464; ARF, RFC 5965), keeps it under `sent/` in the provider's folder with
the result of its delivery. Trying again is the caller's; nothing outlives the process.
"""

from __future__ import annotations

import json
import smtplib
import time
from email.message import EmailMessage, Message
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.parser import BytesHeaderParser, HeaderParser
from email.utils import formatdate, make_msgid
from pathlib import Path

from lab.dns_lookup import Lookup
from lab.errors import LabError
from lab.receivers.records import Record
from lab.receivers.rules import LateDsn

_TIMEOUT_S = 5.0


def late_dsn(action: LateDsn, record: Record, content: bytes, reporter: str) -> Message:
    """A failure notice (RFC 3464) to the envelope sender, with the original's headers."""
    report = MIMEMultipart("report", report_type="delivery-status")
    _head(report, f"MAILER-DAEMON@{reporter}", record.sender, "Undelivered Mail Returned to Sender")
    report.attach(MIMEText(f"Your message to {record.recipient} was not delivered: {action.text}"))
    report.attach(
        _fields(
            "delivery-status",
            f"Reporting-MTA: dns; {reporter}\nArrival-Date: {formatdate(record.at)}\n\n"
            f"Final-Recipient: rfc822; {record.recipient}\nAction: failed\n"
            f"Status: {action.status}\nDiagnostic-Code: smtp; 550 {action.status} {action.text}\n",
        )
    )
    report.attach(_original_headers(content))
    return report


def abuse_report(record: Record, content: bytes, reporter: str) -> Message:
    """A complaint (RFC 5965) to abuse@ of the sender's domain, with the original's headers."""
    report = MIMEMultipart("report", report_type="feedback-report")
    domain = record.sender.rpartition("@")[2]
    _head(report, f"feedback@{reporter}", f"abuse@{domain}", "FW: complaint about a message")
    report.attach(MIMEText(f"This is an abuse report for a message from {record.source}."))
    report.attach(
        _fields(
            "feedback-report",
            f"Feedback-Type: abuse\nUser-Agent: postfleet-lab/1\nVersion: 1\n"
            f"Original-Mail-From: <{record.sender}>\nOriginal-Rcpt-To: <{record.recipient}>\n"
            f"Arrival-Date: {formatdate(record.at)}\nSource-IP: {record.source}\n"
            f"Reported-Domain: {domain}\n",
        )
    )
    report.attach(_original_headers(content))
    return report


def keep(report: Message, folder: Path) -> Path:
    """Keeps the report under `folder`/sent; returns its path."""
    sent = folder / "sent"
    sent.mkdir(exist_ok=True)
    path = sent / f"{time.time_ns()}.eml"
    path.write_bytes(report.as_bytes())
    return path


def deliver(report: Message, path: Path, helo: str, outbound: str, resolver: str) -> bool:
    """Tries the delivery once, blocking, and notes how it ended beside `path`. True: taken.

    `outbound` is host:port, '' for the recipient domain's MX as `resolver` knows it.
    """
    recipient = str(report["To"])
    try:
        host, port = _next_hop(recipient, outbound, resolver)
        with smtplib.SMTP(host, port, local_hostname=helo, timeout=_TIMEOUT_S) as smtp:
            smtp.sendmail("", [recipient], report.as_bytes())
        words = "sent"
    except (OSError, smtplib.SMTPException, LabError) as error:
        words = repr(error)
    path.with_suffix(".json").write_text(json.dumps({"to": recipient, "outcome": words}))
    return words == "sent"


def _next_hop(recipient: str, outbound: str, resolver: str) -> tuple[str, int]:
    if outbound:
        host, _, port = outbound.rpartition(":")
        return host, int(port)
    lookup = Lookup(resolver)
    exchanger = lookup.exchangers(recipient.rpartition("@")[2])[0]
    addresses = lookup.records(exchanger, "A")
    if not addresses:
        raise OSError(f"{recipient}: its domain has no mail exchanger with an address")
    return addresses[0], 25


def _head(report: Message, sender: str, recipient: str, subject: str) -> None:
    report["From"] = sender
    report["To"] = recipient
    report["Subject"] = subject
    report["Date"] = formatdate()
    report["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
    report["Auto-Submitted"] = "auto-replied"


def _fields(subtype: str, text: str) -> Message:
    """A machine-readable part: blocks of header fields, which `email` wants as one message each."""
    part = Message()
    part["Content-Type"] = f"message/{subtype}"
    if subtype == "delivery-status":
        part.set_payload([HeaderParser().parsestr(block) for block in text.split("\n\n")])
    else:
        part.set_payload(text)
    return part


def _original_headers(content: bytes) -> Message:
    part = EmailMessage()
    head, _, _ = content.partition(b"\r\n\r\n")
    parsed = BytesHeaderParser().parsebytes(head)
    lines = "".join(f"{name}: {value}\n" for name, value in parsed.items())
    part["Content-Type"] = "text/rfc822-headers"
    part.set_payload(lines.encode("utf-8", "replace").decode("ascii", "replace"))
    return part
