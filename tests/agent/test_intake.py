"""The pipelined hand-over, against a peer that answers as scripted at every point."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.agent.errors import IntakeError
from node_agent.agent.handover.intake import Ending, IntakeConnection, Letter
from node_agent.agent.handover.smtp_text import Reply, envelope, reply_line, transparent
from tests.agent.samples import message_id

EHLO = b"250-x\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-SMTPUTF8\r\n250 8BITMIME\r\n"


class Server:
    """Answers by what the RCPT's local part says; keeps the commands it saw."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.accepted: list[bytes] = []
        self.greeting = b"220 x ESMTP\r\n"
        self.ehlo = EHLO
        self.serving: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        try:
            await self.converse(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.greeting:
            return
        writer.write(self.greeting)
        in_transaction, answer = False, ""
        while line := (await reader.readline()).decode():
            self.commands.append(line.strip())
            verb = line[:4].upper()
            if verb == "EHLO":
                writer.write(self.ehlo)
            elif verb == "MAIL":
                writer.write(b"503 5.5.1 nested MAIL\r\n" if in_transaction else b"250 Ok\r\n")
                in_transaction = True
                answer = ""
            elif verb == "RCPT":
                answer = line.split("<")[1].split("@")[0]
                writer.write(
                    {"r4": b"451 4.3.0 later\r\n", "r5": b"550 5.1.1 no\r\n"}.get(
                        answer, b"250 Ok\r\n"
                    )
                )
            elif verb == "DATA":
                if answer in ("r4", "r5"):
                    writer.write(b"554 5.5.1 no valid recipients\r\n")
                    continue
                if answer == "close-at-data":
                    break
                writer.write(b"354 go\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                in_transaction = False
                if answer == "close-at-dot":
                    break
                if answer == "nonsense":
                    writer.write(b"what?\r\n")
                    break
                if answer in ("d4", "d5"):
                    writer.write(
                        b"451 4.7.1 milter\r\n" if answer == "d4" else b"552 5.3.4 big\r\n"
                    )
                    continue
                self.accepted.append(data)
                words = f"250 2.0.0 Ok: queued as Q{len(self.accepted)}\r\n"
                writer.write(b"250 2.0.0 Ok\r\n" if answer == "mute" else words.encode())
            elif verb == "RSET":
                in_transaction = False
                writer.write(b"250 Ok\r\n")
            else:
                writer.write(b"221 bye\r\n")
                break


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[int]:
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listener:
        yield listener.sockets[0].getsockname()[1]
        await asyncio.gather(*server.serving, return_exceptions=True)


def letter(number: int, recipient: str, content: bytes = b"S: x\r\n\r\nhi\r\n") -> Letter:
    return Letter(message_id(number), "a@b.test", f"{recipient}@c.test", content)


async def endings(
    server: Server, *recipients: str, may: Callable[[Letter], bool] = lambda _: True
) -> list[str]:
    letters = [letter(n, r) for n, r in enumerate(recipients)]
    async with serving(server) as port:
        connection = await IntakeConnection.open("127.0.0.1", port, "x")
        results = [r async for r in connection.hand_over(letters, may)]
        await connection.quit()
    assert [r.message_id for r in results] == [x.message_id for x in letters]
    return [r.ending.value for r in results]


async def test_messages_follow_one_another_and_each_has_its_queue_id() -> None:
    server = Server()
    assert await endings(server, "a", "b", "c") == ["queued"] * 3
    assert len(server.accepted) == 3


async def test_a_refused_recipient_does_not_take_the_next_message_with_it() -> None:
    assert await endings(Server(), "r5", "a", "r4", "b") == [
        "refused",
        "queued",
        "deferred",
        "queued",
    ]


async def test_what_postfix_says_at_the_end_of_data_is_the_messages_own() -> None:
    assert await endings(Server(), "d4", "d5", "a") == ["deferred", "refused", "queued"]


async def test_only_what_may_have_arrived_whole_is_unknown() -> None:
    assert await endings(Server(), "a", "close-at-dot", "b", "c") == [
        "queued",
        "unknown",
        "not-sent",
        "not-sent",
    ]
    assert await endings(Server(), "a", "close-at-data", "b") == ["queued", "not-sent", "not-sent"]
    assert await endings(Server(), "nonsense", "b") == ["unknown", "not-sent"]


async def test_an_acceptance_without_a_queue_id_is_left_to_the_evidence() -> None:
    assert await endings(Server(), "mute", "b") == ["unknown", "queued"]


async def test_what_may_not_begin_any_more_is_not_sent() -> None:
    server = Server()

    def may(one: Letter) -> bool:
        return one.message_id == message_id(1)

    assert await endings(server, "a", "b", "c", may=may) == ["not-sent", "queued", "not-sent"]
    assert len(server.accepted) == 1


async def test_an_address_that_would_end_its_command_is_refused_here() -> None:
    server = Server()
    assert await endings(server, "a b", "c>\r\nRSET", '"quoted > ok"', "z") == [
        "refused",
        "refused",
        "queued",
        "queued",
    ]
    assert "RSET" not in server.commands


@pytest.mark.parametrize(
    ("greeting", "ehlo"),
    [(b"421 busy\r\n", EHLO), (b"junk\r\n", EHLO), (b"220 x\r\n", b"250 x\r\n"), (b"", EHLO)],
)
async def test_a_peer_that_is_no_pipelining_smtp_server_is_an_error(
    greeting: bytes, ehlo: bytes
) -> None:
    server = Server()
    server.greeting, server.ehlo = greeting, ehlo
    async with serving(server) as port:
        with pytest.raises(IntakeError):
            await IntakeConnection.open("127.0.0.1", port, "x")


def test_parameters_are_asked_for_only_where_needed() -> None:
    everything = frozenset({"SIZE", "8BITMIME", "SMTPUTF8"})
    assert envelope("a@b", "c@d", b"x", everything) == (
        b"MAIL FROM:<a@b> SIZE=1\r\nRCPT TO:<c@d>\r\nDATA\r\n"
    )
    assert b"BODY=8BITMIME" in envelope("a@b", "c@d", b"\xc3\xbc", everything)
    assert b"SMTPUTF8" not in envelope("a@b", "c@d", b"\xc3\xbc", everything)
    assert b"SMTPUTF8" in envelope("a@b", "ü@d", b"x", everything)
    assert envelope("a@b", "c@d", b"x", frozenset()).startswith(b"MAIL FROM:<a@b>\r\n")


@given(st.lists(st.sampled_from([b"", b".", b"..", b"text", b".text", b"a.b"]), max_size=8))
def test_content_arrives_as_it_was(parts: list[bytes]) -> None:
    content = b"".join(p + b"\r\n" for p in parts)
    data = transparent(content)
    assert data.endswith(b".\r\n")
    lines = data[: -len(b".\r\n")].split(b"\r\n")
    assert b"." not in lines
    assert b"\r\n".join(x[1:] if x.startswith(b".") else x for x in lines) == content


def test_a_last_line_without_an_end_gets_one() -> None:
    assert transparent(b"a") == b"a\r\n.\r\n"
    assert transparent(b"") == b".\r\n"


def test_replies_are_read_strictly() -> None:
    assert reply_line(b"250-x\r\n") == (250, "x", False)
    assert reply_line(b"250\r\n") == (250, "", True)
    for bad in (b"", b"2x0 x", b"hello", b"250x"):
        with pytest.raises(ValueError, match="SMTP"):
            reply_line(bad)
    assert Reply(250, "2.0.0 Ok: queued as 4Y3BfM5Zz7z2pKt").queue_id == "4Y3BfM5Zz7z2pKt"
    assert Reply(451, "4.7.1 no").enhanced == "4.7.1"
    assert Ending("queued") is Ending.QUEUED
