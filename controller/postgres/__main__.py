"""python -m controller.postgres {start,stop,status,dsn} DIR: the embedded server by hand.

Exit codes: 0 done (status: runs), 1 it could not be done, 3 status: does not run.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from controller.postgres.errors import PostgresError
from controller.postgres.server import EmbeddedServer


def main() -> int:
    """Runs one command."""
    parser = argparse.ArgumentParser(prog="python -m controller.postgres", description=__doc__)
    parser.add_argument("command", choices=("start", "stop", "status", "dsn"))
    parser.add_argument("directory", type=Path, help="the controller's STATE_DIR/pg")
    arguments = parser.parse_args()
    server = EmbeddedServer(arguments.directory)
    try:
        if arguments.command == "start":
            server.start()
        elif arguments.command == "stop":
            server.stop()
    except PostgresError as error:
        print(error, file=sys.stderr)
        return 1
    if arguments.command == "status":
        pid = server.pid()
        print("does not run" if pid is None else f"runs as pid {pid}")
        return 3 if pid is None else 0
    if arguments.command == "dsn":
        print(server.dsn())
    return 0


if __name__ == "__main__":
    sys.exit(main())
