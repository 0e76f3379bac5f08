"""What is in Postfix's queue, by `postqueue -j` (postqueue(1)): evidence and load figures."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node_agent.agent.errors import EvidenceError
from node_agent.agent.verp import token_of

POSTQUEUE_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class QueueView:
    """One look at the queue."""

    # queue id to message id, of our messages (by the token in the sender)
    messages: dict[str, str]
    # queue ids of ours that are on hold
    held: frozenset[str]
    # queue name (incoming, active, deferred, hold, maildrop) to number of messages
    sizes: dict[str, int]

    @property
    def total(self) -> int:
        """All messages in the queue."""
        return sum(self.sizes.values())


def read(lines: Iterable[bytes]) -> QueueView:
    """Read postqueue's JSON lines. Raises EvidenceError for anything else. Pure."""
    messages: dict[str, str] = {}
    held: set[str] = set()
    sizes: Counter[str] = Counter()
    for line in lines:
        try:
            entry = json.loads(line.decode("utf-8", "replace"))
            queue_name, queue_id = str(entry["queue_name"]), str(entry["queue_id"])
            token = token_of(str(entry["sender"]))
        except (ValueError, KeyError, TypeError) as error:
            raise EvidenceError(f"postqueue says {line[:200]!r}, which is no entry") from error
        sizes[queue_name] += 1
        if token is not None:
            messages[queue_id] = token
            if queue_name == "hold":
                held.add(queue_id)
    return QueueView(messages, frozenset(held), dict(sizes))


async def look(command: Sequence[str]) -> QueueView:
    """Run `command` (postqueue -j). Raises EvidenceError where it does not tell all."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise EvidenceError(f"cannot run {command[0]}: {error}; nothing is decided") from error
    try:
        async with asyncio.timeout(POSTQUEUE_TIMEOUT_S):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise EvidenceError(f"{command[0]} did not end in {POSTQUEUE_TIMEOUT_S:g} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    # It warns and goes on where a part of the queue could not be read: then it does not tell all.
    if process.returncode != 0 or err.strip():
        words = err.decode("utf-8", "replace").strip()[-300:]
        raise EvidenceError(
            f"{' '.join(command)} ended with {process.returncode}: {words or 'no words'}; "
            "nothing is decided before the queue can be read"
        )
    return read(out.splitlines())
