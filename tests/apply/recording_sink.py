"""A receiver for these tests: takes mail at one address, keeps every octet, obeys the recipient.

The recipient's local part says what happens: `refuse…` 550 at RCPT, `later…` 451 at RCPT,
`vanish…` disconnect instead of the answer to the final dot, `stall…` no answer to the final dot,
`mute…` none to RCPT, both until the sink ends; anything else is taken.
"""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any


@dataclass
class Session:
    """One connection: who came, and (sender line, recipient line, octets) of each message."""

    peer: str
    ehlo: str = ""
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)


class RecordingSink:
    """A threaded SMTP server; a context manager.

    `eightbit`: whether it announces 8BITMIME; `dawdle`: called before a final dot is answered.
    """

    def __init__(
        self,
        address: str,
        *,
        port: int = 25,
        eightbit: bool = True,
        dawdle: Callable[[], None] = lambda: None,
    ) -> None:
        sink = self
        self._dawdle = dawdle
        self._over = threading.Event()
        self.sessions: list[Session] = []
        self.eightbit = eightbit

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                session = Session(self.client_address[0])
                sink.sessions.append(session)
                with contextlib.suppress(ConnectionError):
                    sink._converse(session, self.rfile, self.wfile)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server((address, port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def messages(self) -> list[tuple[str, str, bytes]]:
        """Of all sessions, in the order of sessions."""
        return [message for session in self.sessions for message in session.messages]

    def __enter__(self) -> RecordingSink:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def _converse(self, session: Session, rfile: Any, wfile: Any) -> None:
        wfile.write(b"220 sink ESMTP\r\n")
        sender = recipient = ""
        while line := rfile.readline():
            text = line.decode("latin-1").strip()
            verb = text[:4].upper()
            reply = "250 2.0.0 ok"
            if verb == "EHLO":
                session.ehlo = text[5:]
                reply = f"250-sink\r\n{'250-8BITMIME' + chr(13) + chr(10) if self.eightbit else ''}"
                reply += "250 SIZE 100000000"
            elif verb == "MAIL":
                sender = text
            elif verb == "RCPT":
                recipient = text
                if "<refuse" in text:
                    reply = "550 5.1.1 no such user here"
                elif "<later" in text:
                    reply = "451 4.7.1 greylisted"
                elif "<mute" in text:
                    self._over.wait()
            elif verb == "DATA":
                wfile.write(b"354 go on\r\n")
                content = _content(rfile)
                if content is None:
                    return
                session.messages.append((sender, recipient, content))
                if "<vanish" in recipient:
                    return
                if "<stall" in recipient:
                    self._over.wait()
                self._dawdle()
            elif verb == "QUIT":
                wfile.write(b"221 2.0.0 bye\r\n")
                return
            wfile.write(reply.encode() + b"\r\n")


def _content(rfile: Any) -> bytes | None:
    """The octets until the final dot, dots unstuffed (RFC 5321 section 4.5.2); None: it was cut."""
    lines = []
    while (line := rfile.readline()) != b".\r\n":
        if not line:
            return None
        lines.append(line[1:] if line.startswith(b".") else line)
    return b"".join(lines)
