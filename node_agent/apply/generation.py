"""The message that a generation was made from, which stands beside what was made of it.

Apart from what renders: a queue command and the guard read it, and must not wait for a template
engine to load.
"""

from __future__ import annotations

from pathlib import Path

from postfleet.v1 import spec_pb2


def read_message(directory: Path) -> spec_pb2.NodeSpec:
    """Return the message `directory` was made from. Raises OSError or DecodeError."""
    return spec_pb2.NodeSpec.FromString((directory / "applied.spec").read_bytes())
