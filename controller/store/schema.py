"""The schema as text, to compare: what pg_dump says of a database, without what differs by version.

schema.sql beside this file is what all migrations together make; a test holds the two together.
After a new migration: `python -m controller.store.schema`, which rewrites it (needs PostgreSQL 15,
by whose pg_dump the file is written).
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from controller.postgres import EmbeddedServer, find_binaries
from controller.store.migrate import migrate

FILE = Path(__file__).with_name("schema.sql")
MAJOR = 15
_HEAD = "-- Made by `python -m controller.store.schema` from the migrations; not to be edited.\n\n"
_NOISE = re.compile(r"^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\.*)$", re.MULTILINE)


def dump(dsn: str) -> str:
    """The schema of a database."""
    answer = subprocess.run(
        [
            find_binaries(MAJOR).path("pg_dump"),
            "--schema-only",
            "--no-owner",
            "--no-privileges",
            "--dbname",
            dsn,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    text = _NOISE.sub("", answer.stdout)
    return _HEAD + re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def main() -> None:
    """Rewrites schema.sql."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedServer(Path(folder), find_binaries(MAJOR)) as server,
    ):
        migrate(server.dsn())
        FILE.write_text(dump(server.dsn()), encoding="utf-8")
    sys.stdout.write(f"wrote {FILE}\n")


if __name__ == "__main__":
    main()
