"""A receiver whose manners are chosen by the recipient's local part; run as a process.

usage: sink.py [ADDRESS:]PORT RECORDS GREETING_FILE

defer-… 451, bounce-… 550, long-… 550 with 600 octets, multi-… 550 in three lines, stall-… no answer
to the final dot, slow-… one after 2 s, drop-… closes after the final dot, cut-… closes in the
middle of the data, once-… defers the first time; all else is accepted. While GREETING_FILE holds
text, every connection is greeted with that text and closed ("wait N text": after N seconds).
RECORDS gets a JSON line for each message whose final dot came.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path


class Sink:
    def __init__(self, records: Path, greeting: Path) -> None:
        self.records = records
        self.greeting = greeting
        self.seen: set[str] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.converse(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(text: str) -> None:
            writer.write(text.encode() + b"\r\n")

        refusal = self.greeting.read_text().strip() if self.greeting.exists() else ""
        if refusal.startswith("wait "):
            _, seconds, refusal = refusal.split(" ", 2)
            await asyncio.sleep(float(seconds))
        if refusal:
            say(refusal)
            await writer.drain()
            return
        say("220 sink.test ESMTP")
        sender = recipient = ""
        taken = False
        while line := (await reader.readline()).decode().strip():
            verb = line[:4].upper()
            if verb in ("EHLO", "HELO"):
                say("250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8")
            elif verb == "MAIL":
                sender = re.sub(r".*<(.*)>.*", r"\1", line)
                say("250 2.1.0 Ok")
            elif verb == "RCPT":
                recipient = re.sub(r".*<(.*)>.*", r"\1", line)
                answer = self.rcpt_answer(recipient, sender)
                taken = answer.startswith("250")
                say(answer)
            elif verb == "DATA" and not taken:
                say("554 5.5.1 no valid recipients")
            elif verb == "DATA":
                say("354 go ahead")
                if recipient.startswith("cut-"):
                    await reader.readline()
                    return
                content = await self.data(reader)
                self.record(sender, recipient, content)
                if recipient.startswith("stall-"):
                    await asyncio.sleep(30)
                if recipient.startswith("slow-"):
                    await asyncio.sleep(2)
                if recipient.startswith(("stall-", "drop-")):
                    return
                say("250 2.0.0 Ok: taken")
            elif verb == "QUIT":
                say("221 bye")
                await writer.drain()
                return
            else:
                say("250 2.0.0 Ok")
            await writer.drain()

    def rcpt_answer(self, recipient: str, sender: str) -> str:
        if recipient.startswith("once-") and sender not in self.seen:
            self.seen.add(sender)
            return "451 4.7.1 Greylisted, try again"
        for prefix, answer in {
            "defer-": "451 4.7.650 The mail server has been temporarily rate limited",
            "bounce-": "550 5.1.1 <x>: Recipient address rejected, status=sent (250 ok)",
            "long-": "550 5.7.1 " + "very long words " * 40,
            "multi-": "550-5.7.26 first line\r\n550-5.7.26 second line\r\n550 5.7.26 third",
        }.items():
            if recipient.startswith(prefix):
                return answer
        return "250 2.1.5 Ok"

    async def data(self, reader: asyncio.StreamReader) -> bytes:
        lines = []
        while (line := await reader.readline()) != b".\r\n":
            if not line:
                raise OSError("cut")
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(lines)

    def record(self, sender: str, recipient: str, content: bytes) -> None:
        entry = {"sender": sender, "recipient": recipient, "content": content.decode("latin-1")}
        with self.records.open("a") as file:
            file.write(json.dumps(entry) + "\n")


async def main() -> None:
    address, _, port = sys.argv[1].rpartition(":")
    records, greeting = Path(sys.argv[2]), Path(sys.argv[3])
    sink = Sink(records, greeting)
    server = await asyncio.start_server(
        sink.serve, address or "127.0.0.1", int(port), limit=1 << 24, backlog=512
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
