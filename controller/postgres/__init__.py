"""An embedded PostgreSQL: a private server in the controller's state directory.

    with EmbeddedServer(state_dir / "pg") as server:     # starts or adopts, stops at the end
        Store.open(server.dsn)

Listens on a unix socket only, keeps everything durable, and belongs to an unprivileged user.
Does not know the schema (controller.store) and is not needed with `--dsn`.
`python -m controller.postgres {start,stop,status,dsn} DIR` is the same by hand.
"""

from __future__ import annotations

from controller.postgres.binaries import Binaries, find_binaries
from controller.postgres.errors import PostgresError
from controller.postgres.server import EmbeddedServer

__all__ = ["Binaries", "EmbeddedServer", "PostgresError", "find_binaries"]
