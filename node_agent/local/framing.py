"""Messages on the gateway's control socket: four octets of length, big endian, then the message.

Pure: bytes in, bytes out. Sockets are read and written by the clients beside this file and by the
gateway's control server. A length above MAX_MESSAGE_OCTETS is refused before anything is stored.
"""

from __future__ import annotations

import struct

from node_agent.local.errors import Malformed

HEADER_OCTETS = 4
MAX_MESSAGE_OCTETS = 1024 * 1024

_HEADER = struct.Struct(">I")


def frame(message: bytes) -> bytes:
    """Return `message` with its length before it. Raises Malformed above 1 MiB."""
    if len(message) > MAX_MESSAGE_OCTETS:
        raise Malformed(
            f"a message of {len(message)} octets does not fit the control socket "
            f"(at most {MAX_MESSAGE_OCTETS}); nothing was sent"
        )
    return _HEADER.pack(len(message)) + message


def message_length(header: bytes) -> int:
    """Return the length that a header of exactly four octets announces, 0..1 MiB."""
    (length,) = _HEADER.unpack(header)
    if length > MAX_MESSAGE_OCTETS:
        raise Malformed(
            f"the peer announces {length} octets where at most {MAX_MESSAGE_OCTETS} are allowed; "
            "it does not speak this protocol"
        )
    return int(length)


class Deframer:
    """Cuts a stream, fed in pieces of any size, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take `data`; return the messages that are complete now, oldest first.

        Raises Malformed for a length above the limit; the stream is useless from then on.
        """
        self._buffer += data
        messages: list[bytes] = []
        while len(self._buffer) >= HEADER_OCTETS:
            length = message_length(bytes(self._buffer[:HEADER_OCTETS]))
            end = HEADER_OCTETS + length
            if len(self._buffer) < end:
                break
            messages.append(bytes(self._buffer[HEADER_OCTETS:end]))
            del self._buffer[:end]
        return messages

    @property
    def pending_octets(self) -> int:
        """Octets of a message that is not complete yet; not 0 at end of file: it was cut."""
        return len(self._buffer)
