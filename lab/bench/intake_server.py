"""A controller that does nothing but take mail in: SubmissionService over mTLS, no loops.

Run as `python -m lab.bench.intake_server DSN STATE_DIR`: writes client credentials to STATE_DIR,
prints its port, serves until standard input ends.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from postfleet.v1 import submission_pb2_grpc

from controller.intake.service import SubmissionService
from controller.keys.authority import open_fleet_ca
from controller.keys.identity import Kind
from controller.serving.rpc import RpcServer
from controller.serving.settings import Endpoint
from controller.store import Store


async def serve(dsn: str, state: Path) -> None:
    """Serve until standard input ends."""
    ca = open_fleet_ca(state)
    issued = ca.issue_identity(Kind.OPERATOR, "bench")
    for name, pem in (
        ("client-ca.pem", ca.pem),
        ("client-key.pem", issued.key_pem),
        ("client-cert.pem", issued.certificate_pem),
    ):
        (state / name).write_bytes(pem)
    async with Store.open(dsn) as store:
        service = SubmissionService(store)
        server = RpcServer(
            store,
            ca,
            Endpoint("127.0.0.1", 0),
            ["127.0.0.1"],
            [
                (
                    "postfleet.v1.SubmissionService",
                    lambda s: submission_pb2_grpc.add_SubmissionServiceServicer_to_server(
                        service, s
                    ),
                )
            ],
        )
        print(await server.start(), flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await server.stop(0)


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
