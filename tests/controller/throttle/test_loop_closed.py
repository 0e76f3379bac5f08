"""The loop closed: a receiver's word to a node stops the fleet for that receiver, and for no other.

A whole controller on a real database and a real DNS server; a simulated node reports what Postfix
would have logged.
"""

from __future__ import annotations

from pathlib import Path

from postfleet.v1 import node_pb2

from controller.intake.check import Submission
from controller.intake.ingest import ingest
from controller.keys.sealing import open_sealer
from controller.server import serving
from controller.serving.settings import Endpoint, RunSettings
from controller.store import Store
from tests.controller.providers.test_cycle import dns_port as dns_port
from tests.controller.sessions.scene import running, until
from tests.controller.simulated_agent import SimulatedAgent
from tests.controller.small_fleet import apply, enrol, small_inventory, sql

RULES = """
[[rule]]
name = "google-unusual-rate"
provider = ["google"]
code = [421]
text = 'unusual rate of unsolicited mail'
action = "suspend"
for = "1h"
why = "this test stops where the shipped rule slows"
source = ["a test"]
samples = ["421 4.7.28 Our system has detected an unusual rate of unsolicited mail"]
near_misses = ["421 4.7.28 exceeded its quota"]
"""
GOOGLE = "gmail-smtp-in.l.google.com[203.0.113.5]"
REFUSED = (
    f"host {GOOGLE} said: 421-4.7.28 Our system has detected an unusual rate of 421 4.7.28 "
    "unsolicited mail (in reply to RCPT TO command)"
)


class Refused(SimulatedAgent):
    """A node whose mail to gmail.zone.test is deferred."""

    def event(self, message_id: str, kind: node_pb2.EventKind, **fields: object) -> None:
        sent = kind == node_pb2.EVENT_KIND_SENT
        if sent and self.spool[message_id].recipient.startswith("google"):
            kind = node_pb2.EVENT_KIND_DEFERRED
            fields = {"reason": REFUSED, "relay": f"{GOOGLE}:25", "log_line": REFUSED}
        super().event(message_id, kind, **fields)


async def test_a_receivers_word_stops_its_mail_and_nobody_elses(
    database: str, store: Store, tmp_path: Path, dns_port: int
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text(RULES)
    lease = {"ttl_s": 60, "margin_s": 5, "heartbeat_s": 0.3}
    await apply(store, open_sealer(tmp_path), small_inventory(nodes=1, egresses=1, lease=lease))
    settings = RunSettings(
        state_dir=tmp_path, listen=Endpoint("127.0.0.1", 0), join_grace_s=60,
        shaping=rules, dns=(Endpoint("127.0.0.1", dns_port),),
    )  # fmt: skip

    async def submit(*names: str) -> None:
        zones = {"google": "gmail.zone.test", "gmx": "short.zone.test"}
        await ingest(store, [
            Submission(name, "acme", "m1-1@acme.test", f"{name}@{zones[name.partition('-')[0]]}",
                       None, b"From: m1-1@acme.test\r\nSubject: x\r\n\r\nx\r\n")
            for name in names
        ])  # fmt: skip

    async def states(kind: str) -> set[str]:
        rows = await store.fetch_all(
            sql("SELECT state FROM message WHERE recipient LIKE %(kind)s"), kind=f"{kind}%"
        )
        return {row["state"] for row in rows}

    async def suspended() -> list[object]:
        rows = await store.fetch_all(sql("SELECT scope, subject, stage FROM suspension"))
        return [tuple(row.values()) for row in rows]

    async with serving(settings, database) as controller:
        issued = await enrol(store, controller.ca, "n1")
        agent = Refused("n1", f"127.0.0.1:{controller.port}", controller.ca.pem, issued)
        # Without a node they wait here: what has gone before its domain is known is not asked for.
        await submit("google-1", "gmx-1")
        await until(lambda: _looked_up(store))
        async with running(agent):
            await until(suspended)
            assert await suspended() == [("provider-egress", "google/px1", "google-unusual-rate")]
            await submit("google-2", "google-3", "gmx-2", "gmx-3")

            async def gmx_goes() -> bool:
                # On its way to the node; when it is its turn there, the planner has said.
                return await states("gmx") <= {"dispatched", "queued", "sent"}

            await until(gmx_goes)
            assert await states("google-1") == {"queued"}
            assert await states("google-2") | await states("google-3") <= {"accepted", "scheduled"}
            assert not {"google-2", "google-3"} & {
                message.recipient.partition("@")[0] for message in agent.spool.values()
            }


async def _looked_up(store: Store) -> bool:
    found = await store.fetch_value(sql("SELECT count(*) FROM mail_domain WHERE outcome = 'found'"))
    return bool(found == 2)
