"""SMTP as text: commands, replies, transparency. Pure (RFC 5321, RFC 2920, RFC 6152, RFC 6531)."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Postfix: "250 2.0.0 Ok: queued as 4Y3BfM5Zz7z2pKt"
_QUEUED_AS = re.compile(r"queued as ([0-9A-Za-z]+)")
# A quoted string without control characters; within it ">" and spaces are harmless.
_QUOTED = re.compile(r'"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"')
_ENDS_A_COMMAND = re.compile(r"[\x00-\x20\x7f>]")
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply; `text` joins the lines with spaces, enhanced code included."""

    code: int
    text: str

    @property
    def positive(self) -> bool:
        """2yz."""
        return 200 <= self.code < 300

    @property
    def permanent(self) -> bool:
        """5yz."""
        return 500 <= self.code < 600

    @property
    def enhanced(self) -> str:
        """RFC 3463 code at the beginning of the text, or ''."""
        match = _ENHANCED.match(self.text)
        return match[1] if match else ""

    @property
    def queue_id(self) -> str:
        """Postfix's queue id where the text names one, else ''."""
        match = _QUEUED_AS.search(self.text)
        return match[1] if match else ""

    def __str__(self) -> str:
        return f"{self.code} {self.text}"


def reply_line(line: bytes) -> tuple[int, str, bool]:
    """One line of a reply: (code, text, whether it is the last). Raises ValueError."""
    text = line.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
    if len(text) < 3 or not text[:3].isdigit() or text[3:4] not in ("", " ", "-"):
        raise ValueError(f"{text[:80]!r} is no SMTP reply")
    return int(text[:3]), text[4:], text[3:4] != "-"


def transparent(content: bytes) -> bytes:
    """The DATA octets of `content` (CRLF line ends): dots doubled, end of data appended.

    RFC 5321 section 4.5.2. A last line without an end gets one.
    """
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    if stuffed and not stuffed.endswith(b"\r\n"):
        stuffed += b"\r\n"
    return stuffed + b".\r\n"


def envelope(sender: str, recipient: str, content: bytes, extensions: frozenset[str]) -> bytes:
    """MAIL, RCPT and DATA of one message, in one group (RFC 2920 section 3.1).

    SMTPUTF8 is asked for only where an address needs it (RFC 6531), BODY=8BITMIME only where the
    content does. Raises ValueError for an address that would end its command early.
    """
    for address in (sender, recipient):
        if _ENDS_A_COMMAND.search(_QUOTED.sub("", address)):
            raise ValueError(f"{address!r} cannot stand in an SMTP command")
    parameters = ""
    if "SIZE" in extensions:
        parameters += f" SIZE={len(content)}"
    if "8BITMIME" in extensions and not content.isascii():
        parameters += " BODY=8BITMIME"
    if not (sender.isascii() and recipient.isascii()):
        parameters += " SMTPUTF8"
    group = f"MAIL FROM:<{sender}>{parameters}\r\nRCPT TO:<{recipient}>\r\nDATA\r\n"
    return group.encode()
