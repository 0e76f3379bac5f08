"""One SMTP connection to Postfix's intake, pipelined: messages in, one result for each.

The end of one message's data, and the next one's MAIL, RCPT and DATA go out as one group
(RFC 2920), so a message costs one round trip. Decides nothing: a result says what is known.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from node_agent.agent.errors import IntakeError
from node_agent.agent.handover.smtp_text import Reply, envelope, reply_line, transparent

# RFC 5321 section 4.5.3.2; on loopback everything is quick but a milter.
COMMAND_TIMEOUT_S = 60.0
END_OF_DATA_TIMEOUT_S = 300.0
MOST_REPLY_LINES = 200
LONGEST_REPLY_LINE = 100_000


class Ending(StrEnum):
    """How the hand-over of one message ended."""

    QUEUED = "queued"
    # Certain not to be in Postfix's queue: retry later.
    DEFERRED = "deferred"
    REFUSED = "refused"
    # Not begun; Postfix said nothing about it.
    NOT_SENT = "not-sent"
    # The end of its data may have been read and was not answered: only evidence can tell.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Letter:
    """What is handed over."""

    message_id: str
    sender: str
    recipient: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Result:
    """The ending of one message, with Postfix's words (or ours, with code 0)."""

    message_id: str
    ending: Ending
    reply: Reply


class IntakeConnection:
    """Opened by `open`; not usable any more once `usable` is false."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._extensions: frozenset[str] = frozenset()
        self._read = b""
        self.usable = True
        self._opened_s = time.monotonic()
        self.local_port: int = writer.get_extra_info("sockname")[1]

    @property
    def age_s(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._opened_s

    @classmethod
    async def open(cls, host: str, port: int, helo_name: str) -> IntakeConnection:
        """Connect and say EHLO. Raises IntakeError."""
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            raise IntakeError(f"Postfix's intake {host}:{port}: {error or 'timed out'}") from error
        connection = cls(reader, writer)
        try:
            await connection._greet(helo_name)
        except BaseException:
            connection.abort()
            await connection._closed()
            raise
        return connection

    async def _greet(self, helo_name: str) -> None:
        try:
            greeting = await self._reply(COMMAND_TIMEOUT_S)
            if greeting.code != 220:
                raise IntakeError(f"Postfix's intake greets with {greeting}")
            self._writer.write(f"EHLO {helo_name}\r\n".encode())
            lines = await self._reply_lines(COMMAND_TIMEOUT_S)
        except (OSError, ValueError, TimeoutError, EOFError) as error:
            raise IntakeError(f"Postfix's intake breaks off at its greeting: {error!r}") from error
        if lines[0][0] != 250:
            raise IntakeError(f"Postfix's intake answers EHLO with {lines[0]}")
        self._extensions = frozenset(text.split(" ")[0].upper() for _, text in lines[1:])
        if "PIPELINING" not in self._extensions:
            raise IntakeError("Postfix's intake offers no PIPELINING; check its master.cf entry")

    async def hand_over(
        self, letters: Sequence[Letter], may_begin: Callable[[Letter], bool]
    ) -> AsyncIterator[Result]:
        """Hand over in order; yield one result for each letter, in order.

        `may_begin` is asked right before the first octet about a letter is sent; one that may not
        is NOT_SENT. Never raises for what Postfix or the connection does.
        """
        waiting = list(letters)
        waiting.reverse()
        begun, skipped = self._begin(waiting, may_begin, b"")
        while True:
            for result in skipped:
                yield result
            if begun is None:
                break
            result, following, skipped = await self._one(begun, waiting, may_begin)
            yield result
            begun = following
        for letter in reversed(waiting):
            yield _ours(letter, Ending.NOT_SENT, "the connection to Postfix ended before it")

    def _begin(
        self, waiting: list[Letter], may_begin: Callable[[Letter], bool], before: bytes
    ) -> tuple[Letter | None, list[Result]]:
        """Write `before` and the envelope of the next letter that may go, in one group."""
        skipped: list[Result] = []
        chosen: Letter | None = None
        group = b""
        while waiting and self.usable and chosen is None:
            letter = waiting.pop()
            if not may_begin(letter):
                skipped.append(_ours(letter, Ending.NOT_SENT, "it may not be sent any more"))
                continue
            try:
                group = envelope(letter.sender, letter.recipient, letter.content, self._extensions)
            except ValueError as error:
                skipped.append(_ours(letter, Ending.REFUSED, str(error)))
                continue
            chosen = letter
        if before or group:
            self._writer.write(before + group)
        return chosen, skipped

    async def _one(
        self, letter: Letter, waiting: list[Letter], may_begin: Callable[[Letter], bool]
    ) -> tuple[Result, Letter | None, list[Result]]:
        """Finish `letter`, whose envelope was written, and begin the next."""
        data_sent = False
        following: Letter | None = None
        skipped: list[Result] = []
        try:
            refusal = await self._envelope_refusal()
            if refusal is not None:
                # Where MAIL was taken and RCPT was not, a transaction is still open.
                self._writer.write(b"RSET\r\n")
                await self._reply(COMMAND_TIMEOUT_S)
                following, skipped = self._begin(waiting, may_begin, b"")
                return _judged(letter, refusal), following, skipped
            data_sent = True
            following, skipped = self._begin(waiting, may_begin, transparent(letter.content))
            await asyncio.wait_for(self._writer.drain(), END_OF_DATA_TIMEOUT_S)
            reply = await self._reply(END_OF_DATA_TIMEOUT_S)
        except (OSError, ValueError, TimeoutError, EOFError) as error:
            self.abort()
            if following is not None:
                # Its envelope may have gone out, its data did not.
                waiting.append(following)
            ending = Ending.UNKNOWN if data_sent else Ending.NOT_SENT
            words = f"the connection to Postfix broke: {error!r}"
            return _ours(letter, ending, words), None, skipped
        return _judged(letter, reply), following, skipped

    async def _envelope_refusal(self) -> Reply | None:
        """Read the replies to MAIL, RCPT, DATA; None where the data may follow."""
        mail = await self._reply(COMMAND_TIMEOUT_S)
        if mail.code == 421:
            raise EOFError(str(mail))
        recipient = await self._reply(COMMAND_TIMEOUT_S)
        data = await self._reply(COMMAND_TIMEOUT_S)
        refusal = next((r for r in (mail, recipient) if not r.positive), None)
        if data.code == 354 and refusal is None:
            return None
        if data.code == 354:
            # RFC 2920 section 3.1: data for no recipient would have to be ended. Postfix never
            # answers so; leave.
            raise EOFError(f"354 after {refusal}")
        return refusal or data

    async def _reply(self, timeout_s: float) -> Reply:
        lines = await self._reply_lines(timeout_s)
        return Reply(lines[-1][0], " ".join(text for _, text in lines))

    async def _reply_lines(self, timeout_s: float) -> list[tuple[int, str]]:
        lines: list[tuple[int, str]] = []
        while True:
            code, text, last = reply_line(await self._line(timeout_s))
            lines.append((code, text))
            if last:
                return lines
            if len(lines) > MOST_REPLY_LINES:
                raise ValueError("a reply without end")

    async def _line(self, timeout_s: float) -> bytes:
        while (end := self._read.find(b"\n")) < 0:
            if len(self._read) > LONGEST_REPLY_LINE:
                raise ValueError("a reply line without end")
            async with asyncio.timeout(timeout_s):
                more = await self._reader.read(65536)
            if not more:
                raise EOFError("end of file")
            self._read += more
        line, self._read = self._read[:end], self._read[end + 1 :]
        return line

    async def quit(self) -> None:
        """End politely."""
        with contextlib.suppress(OSError, ValueError, TimeoutError, EOFError):
            self._writer.write(b"QUIT\r\n")
            await self._reply(5.0)
        self.abort()
        await self._closed()

    async def _closed(self) -> None:
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    def abort(self) -> None:
        """Close at once."""
        self.usable = False
        self._writer.close()


def _judged(letter: Letter, reply: Reply) -> Result:
    if reply.positive and reply.queue_id:
        return Result(letter.message_id, Ending.QUEUED, reply)
    if reply.permanent and reply.code != 503:
        return Result(letter.message_id, Ending.REFUSED, reply)
    if reply.positive:
        # Accepted without naming the queue file: the queue will tell.
        return Result(letter.message_id, Ending.UNKNOWN, reply)
    # 503 (bad sequence of commands) speaks of the session, not of the message.
    return Result(letter.message_id, Ending.DEFERRED, reply)


def _ours(letter: Letter, ending: Ending, words: str) -> Result:
    return Result(letter.message_id, ending, Reply(0, words))
