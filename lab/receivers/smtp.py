# ruff: noqa: ARG002, N802 (hooks have aiosmtpd's names and arguments)
"""The SMTP server of a receiver: aiosmtpd with what the lab needs beyond it.

It announces PIPELINING and ENHANCEDSTATUSCODES, can cut a connection in mid-DATA, and can refuse in
the greeting. What to answer it asks of `Desk` (lab.receivers.desk); it decides nothing itself.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from lab.receivers.decide import Cut
from lab.receivers.desk import Desk
from lab.receivers.replies import Reply
from lab.receivers.settings import MailExchanger, Provider

_IDLE_TIMEOUT_S = 300


class Handler:
    """aiosmtpd's hooks for one MX host."""

    def __init__(self, desk: Desk, exchanger: MailExchanger) -> None:
        self._desk = desk
        self._target = exchanger.address

    async def handle_EHLO(
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        """Keeps the client's name, and offers what a large provider offers."""
        session.host_name = hostname
        kept = [line for line in responses if "AUTH" not in line and "HELP" not in line]
        return [*kept, "250-PIPELINING", "250 ENHANCEDSTATUSCODES"]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Asks the rules about the sender."""
        answer = await self._desk.ask("mail", self._target, session, envelope, address, "")
        if answer is not None:
            return await speak(server, answer)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 Ok"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Takes only the provider's own domains, then asks the rules."""
        sender = envelope.mail_from or ""
        answer = await self._desk.ask("rcpt", self._target, session, envelope, sender, address)
        if answer is not None:
            return await speak(server, answer)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """After the final dot: asks the rules, writes the record, then answers."""
        content = envelope.original_content or b""
        answer = await self._desk.finish(self._target, session, envelope, content)
        if isinstance(answer, Cut):
            return await speak(server, answer)
        return answer


class Receiver(SMTP):
    """One connection."""

    def __init__(
        self, desk: Desk, provider: Provider, exchanger: MailExchanger, context: ssl.SSLContext
    ) -> None:
        self._desk = desk
        self._target = exchanger.address
        super().__init__(
            Handler(desk, exchanger),
            hostname=exchanger.host,
            ident=f"ESMTP {provider.name} lab",
            data_size_limit=provider.size_limit_bytes,
            enable_SMTPUTF8=True,
            tls_context=context,
            timeout=_IDLE_TIMEOUT_S,
            loop=asyncio.get_running_loop(),
        )

    async def push(self, status: Any) -> None:
        """Sends a reply; instead of the greeting, what the rules say at `connect`."""
        greeting = isinstance(status, str) and status.startswith("220 ") and not self._greeted
        if greeting:
            self._greeted = True
            assert self.session is not None
            answer = await self._desk.greet(self._target, self.session)
            if answer is not None:
                status = await speak(self, answer)
        await super().push(status)
        refused = isinstance(status, str) and status.startswith("5") and greeting
        ended = isinstance(status, str) and status.startswith("421")
        if (refused or ended) and self.transport is not None:
            self.transport.close()

    _greeted = False

    async def smtp_DATA(self, arg: str) -> None:
        """Cuts in mid-DATA where a rule says so; else as aiosmtpd does it."""
        session, envelope = self.session, self.envelope
        if session is not None and envelope is not None and envelope.rcpt_tos and not arg:
            recipient = envelope.rcpt_tos[0]
            cut = await self._desk.ask(
                "data", self._target, session, envelope, envelope.mail_from or "", recipient
            )
            if isinstance(cut, Cut):
                await self.push("354 End data with <CR><LF>.<CR><LF>")
                await self._reader.read(max(1, cut.after_bytes))
                await speak(self, cut)
        await super().smtp_DATA(arg)


async def speak(server: SMTP, answer: Reply | Cut) -> str:
    """The reply's text, or the end of the connection, which also ends this task."""
    if isinstance(answer, Cut):
        original = server._original_transport or server.transport
        if isinstance(original, asyncio.WriteTransport):
            original.abort()
        raise asyncio.CancelledError
    return answer.render()
