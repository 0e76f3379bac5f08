"""SMTP replies in providers' own words, by name, so that scenarios and rules can quote them.

Source: the receivers' public documentation (codes that name the failed rule). A reply is a list of
lines without the code's continuation mark; `render` makes the wire form (RFC 5321 section 4.2.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from lab.receivers.errors import RulesError

_LITERAL = re.compile(r"^([245]\d\d) (\d\.\d{1,3}\.\d{1,3} )?(.+)$", re.DOTALL)


@dataclass(frozen=True)
class Reply:
    """A reply: three-digit code, enhanced status code (RFC 3463, may be empty), text lines."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def permanent(self) -> bool:
        """Whether the client must not try again (5yz)."""
        return self.code >= 500

    @property
    def closes(self) -> bool:
        """421 announces that the server closes the channel (RFC 5321 section 3.8)."""
        return self.code == 421

    def render(self) -> str:
        """The wire form, lines separated by CRLF, without the last CRLF."""
        mark = f"{self.enhanced} " if self.enhanced else ""
        last = len(self.lines) - 1
        return "\r\n".join(
            f"{self.code}{' ' if n == last else '-'}{mark}{line}"
            for n, line in enumerate(self.lines)
        )


NAMED: dict[str, Reply] = {
    "greylisted": Reply(450, "4.2.0", ("Greylisted, see https://postgrey.example/ try again",)),
    "google.greylist": Reply(421, "4.7.0", ("Try again later, closing connection.",)),
    "google.rate": Reply(
        421,
        "4.7.28",
        (
            "Our system has detected an unusual rate of unsolicited mail",
            "originating from your IP address. To protect our users from spam, mail",
            "sent from your IP address has been temporarily rate limited.",
        ),
    ),
    "google.unauthenticated": Reply(
        550,
        "5.7.26",
        (
            "Your email has been blocked because the sender is unauthenticated.",
            "Gmail requires all senders to authenticate with either SPF or DKIM.",
        ),
    ),
    "google.unaligned": Reply(
        421, "4.7.32", ("From: header isn't aligned with the authenticated domain.",)
    ),
    "google.no-such-user": Reply(
        550,
        "5.1.1",
        (
            "The email account that you tried to reach does not exist. Please try",
            "double-checking the recipient's email address for typos or unnecessary spaces.",
        ),
    ),
    "google.reputation": Reply(
        421, "4.7.0", ("This message is suspicious due to the very low reputation of the sender.",)
    ),
    "google.over-quota": Reply(
        452, "4.2.2", ("The recipient's inbox is out of storage space and inactive.",)
    ),
    "microsoft.rate": Reply(
        451, "4.7.650", ("The mail server has been temporarily rate limited due to IP reputation.",)
    ),
    "microsoft.blocked": Reply(
        550, "5.7.606", ("Access denied, banned sending IP. To request removal visit the portal.",)
    ),
    "microsoft.authentication": Reply(
        550,
        "5.7.515",
        ("Access denied, sending domain doesn't meet the required authentication level.",),
    ),
    "microsoft.busy": Reply(451, "4.3.2", ("Server busy. Please try again later. [S77719]",)),
    "microsoft.no-such-user": Reply(
        550, "5.5.0", ("Requested action not taken: mailbox unavailable (S2017062302).",)
    ),
    "yahoo.deferred": Reply(
        421, "4.7.0", ("[TSS04] Messages temporarily deferred due to unexpected volume.",)
    ),
    "yahoo.blocked": Reply(553, "5.7.1", ("[BL21] Connections not accepted from this address.",)),
    "yahoo.no-such-user": Reply(
        554, "5.7.9", ("delivery error: dd This user doesn't have an account",)
    ),
    "plain.no-such-user": Reply(550, "5.1.1", ("User unknown in virtual mailbox table",)),
    "plain.full": Reply(452, "4.2.2", ("Mailbox full",)),
    "plain.busy": Reply(451, "4.3.0", ("Queue file write error",)),
    "relay-denied": Reply(554, "5.7.1", ("Relay access denied",)),
}


def reply_named(text: str) -> Reply:
    """The reply of that name, or the literal one written as `CODE [ENHANCED] TEXT`.

    Raises RulesError for anything else.
    """
    if text in NAMED:
        return NAMED[text]
    literal = _LITERAL.match(text)
    if literal is None:
        raise RulesError(
            f"reply {text!r}: neither a name ({', '.join(sorted(NAMED))}) nor 'CODE [X.Y.Z] TEXT'"
        )
    return Reply(int(literal[1]), (literal[2] or "").strip(), tuple(literal[3].split("\n")))
