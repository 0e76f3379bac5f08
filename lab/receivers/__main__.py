"""python -m lab.receivers --settings FILE --provider NAME [--resolver ADDRESS]: one provider."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from lab.receivers.errors import ReceiverError
from lab.receivers.process import serve
from lab.receivers.settings import read_settings


def main() -> int:
    """Runs until it is told to stop; 1 when it cannot begin."""
    parser = argparse.ArgumentParser(prog="python -m lab.receivers", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--provider", required=True)
    parser.add_argument("--resolver", default="203.0.113.53")
    options = parser.parse_args()
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs every command
    try:
        settings = read_settings(options.settings)
        wanted = [p for p in settings.providers if p.name == options.provider]
        if not wanted:
            raise ReceiverError(f"no provider {options.provider!r} in {options.settings}")
        asyncio.run(serve(settings, wanted[0], options.resolver))
    except ReceiverError as error:
        print(f"lab.receivers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
