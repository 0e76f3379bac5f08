"""Providers of messages against a real DNS server and a real database."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from controller.providers.cycle import Asking, Naming, name, pause_s
from controller.providers.lookup import LEAST_TTL_S, MailDns, MailHosts, Outcome
from controller.providers.table import ProviderTable, open_table
from controller.store import Store
from tests.controller.small_fleet import sql

ZONE = """\
$ORIGIN zone.test.
$TTL 7200
@ 7200 IN SOA ns.zone.test. h.zone.test. 1 3600 600 86400 1800
@ IN NS ns
ns IN A 127.0.0.1
gmail 7200 IN MX 20 alt1.gmail-smtp-in.l.google.com.
gmail 7200 IN MX 5 Gmail-SMTP-in.l.google.com.
short 5 IN MX 10 mx00.emig.gmx.net.
own IN MX 10 mx1.mail.own.test.
implicit IN A 192.0.2.1
null IN MX 0 .
text IN TXT "no mail"
six IN AAAA 2001:db8::1
"""


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def dns_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """knotd with one zone on a port of loopback."""
    knotd = shutil.which("knotd") or shutil.which("knotd", path="/usr/sbin")
    if knotd is None:
        pytest.skip("needs knotd (Debian package knot)")
    folder, port = tmp_path_factory.mktemp("knot"), free_port()
    (folder / "zone.test").write_text(ZONE)
    (folder / "knot.conf").write_text(
        f"server:\n  rundir: {folder}\n  listen: 127.0.0.1@{port}\n"
        f"database:\n  storage: {folder}\n"
        f"log:\n - target: stderr\n   any: warning\n"
        f"zone:\n - domain: zone.test\n   storage: {folder}\n   file: zone.test\n"
    )
    process = subprocess.Popen([knotd, "-c", str(folder / "knot.conf")])
    try:
        deadline = time.monotonic() + 30
        while asyncio.run(ask(port, "gmail.zone.test")).outcome is Outcome.FAILED:
            assert time.monotonic() < deadline, "knotd does not answer"
            assert process.poll() is None, "knotd ended"
            time.sleep(0.2)
        yield port
    finally:
        process.terminate()
        process.wait(20)


async def ask(port: int, domain: str, timeout_s: float = 2) -> MailHosts:
    return await MailDns([("127.0.0.1", port)], timeout_s).ask(domain)


@pytest.mark.parametrize(
    ("domain", "outcome", "hosts", "ttl_s"),
    [
        ("gmail.zone.test", "found",
         ("gmail-smtp-in.l.google.com", "alt1.gmail-smtp-in.l.google.com"), 7200),
        ("short.zone.test", "found", ("mx00.emig.gmx.net",), LEAST_TTL_S),
        ("implicit.zone.test", "found", ("implicit.zone.test",), 7200),
        ("null.zone.test", "none", (), 7200),
        ("text.zone.test", "none", (), LEAST_TTL_S),
        ("six.zone.test", "none", (), LEAST_TTL_S),
        ("no-such.zone.test", "none", (), 1800),
        # knotd is authoritative for one zone and refuses questions about others.
        ("elsewhere.example", "failed", (), LEAST_TTL_S),
        ("a..b", "failed", (), LEAST_TTL_S),
        ("x" * 64 + ".zone.test", "failed", (), LEAST_TTL_S),
    ],
)  # fmt: skip
async def test_what_the_dns_says(
    dns_port: int, domain: str, outcome: str, hosts: tuple[str, ...], ttl_s: int
) -> None:
    assert await ask(dns_port, domain) == MailHosts(Outcome(outcome), hosts, ttl_s)


async def test_silence_is_a_failure_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        assert (await ask(port, "zone.test", timeout_s=0.3)).outcome is Outcome.FAILED


async def messages(store: Store, *recipients: str) -> None:
    await store.execute(
        sql("INSERT INTO client VALUES ('acme', 'Acme', 'u', 'm') ON CONFLICT DO NOTHING")
    )
    for recipient in recipients:
        await store.execute(
            sql("INSERT INTO message (id, client_id, recipient, not_before, size)"
                " VALUES (%(r)s, 'acme', %(r)s, now(), 1)"),
            r=recipient,
        )  # fmt: skip


async def providers(store: Store) -> dict[str, str]:
    rows = await store.fetch_all(sql("SELECT recipient, receiver FROM message"))
    return {row["recipient"]: row["receiver"] for row in rows}


@pytest.fixture
def table() -> ProviderTable:
    return open_table()


async def settle(asking: Asking) -> None:
    deadline = time.monotonic() + 60
    while "no domain" not in await asking.run_cycle():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_messages_go_on_as_unknown_and_get_their_provider_when_it_is_found(
    store: Store, table: ProviderTable, dns_port: int
) -> None:
    await messages(store, "a@Gmail.zone.test", '"x@y"@own.zone.test', "n@no-such.zone.test")
    naming = Naming(store, table)
    await naming.run_cycle()
    assert set((await providers(store)).values()) == {"unknown"}
    asking = Asking(store, table, MailDns([("127.0.0.1", dns_port)], 2))
    await settle(asking)
    assert await providers(store) == {
        "a@Gmail.zone.test": "google",
        '"x@y"@own.zone.test': "mail.own.test",
        "n@no-such.zone.test": "unknown",
    }
    of_own = sql("SELECT provider FROM message WHERE recipient LIKE '%%own.zone.test'")
    assert await store.fetch_value(of_own) == "other", "providers are few"
    # The second message of a domain needs no DNS: a controller that starts anew knows it.
    await messages(store, "b@gmail.zone.test")
    await Naming(store, table).run_cycle()
    assert (await providers(store))["b@gmail.zone.test"] == "google"
    assert await Asking(store, table, MailDns([("127.0.0.1", 1)])).run_cycle() == (
        "no domain to ask for"
    )


async def test_who_does_not_answer_holds_up_nobody_and_is_asked_again(
    store: Store, table: ProviderTable, dns_port: int
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        asked = MailDns([("127.0.0.1", dns_port)], 2)
        mute = MailDns([("127.0.0.1", silent.getsockname()[1])], 30)

        class Half(MailDns):
            async def ask(self, domain: str) -> MailHosts:
                return await (mute if domain.startswith("mute") else asked).ask(domain)

        await messages(store, *(f"a@mute{n}.test" for n in range(50)), "a@short.zone.test")
        await Naming(store, table).run_cycle()
        asking = Asking(store, table, Half())
        deadline = time.monotonic() + 25
        while (await providers(store))["a@short.zone.test"] != "gmx":
            assert time.monotonic() < deadline, "an answer waited for those that do not come"
            await asking.run_cycle()
            await asyncio.sleep(0.05)
        await asking.close()
    waiting = await store.fetch_value(
        sql("SELECT count(*) FROM mail_domain WHERE wanted AND domain LIKE 'mute%%'")
    )
    assert waiting == 50


async def test_a_provider_once_found_is_kept_while_the_dns_is_away(
    store: Store, table: ProviderTable, dns_port: int
) -> None:
    await messages(store, "a@gmail.zone.test")
    await Naming(store, table).run_cycle()
    await settle(Asking(store, table, MailDns([("127.0.0.1", dns_port)], 2)))
    await store.execute(sql("UPDATE mail_domain SET due_at = now() - interval '1 s'"))
    await messages(store, "b@gmail.zone.test")
    await Naming(store, table).run_cycle()
    assert (await providers(store))["b@gmail.zone.test"] == "google"
    asking = Asking(store, table, MailDns([("127.0.0.1", 1)], 0.2))
    deadline = time.monotonic() + 30
    while await store.fetch_value(sql("SELECT failures FROM mail_domain")) == 0:
        assert time.monotonic() < deadline
        await asking.run_cycle()
        await asyncio.sleep(0.05)
    row = await store.fetch_one(
        sql("SELECT receiver, outcome, wanted, due_at > now() AS later FROM mail_domain")
    )
    assert row == {"receiver": "google", "outcome": "failed", "wanted": True, "later": True}


async def test_an_answer_kept_while_messages_are_looked_at_misses_none(
    store: Store, table: ProviderTable, dns_port: int
) -> None:
    await messages(store, "a@gmail.zone.test")
    await Naming(store, table).run_cycle()
    asking = Asking(store, table, MailDns([("127.0.0.1", dns_port)], 2))
    assert "1 under way" in await asking.run_cycle()
    await messages(store, "b@gmail.zone.test")
    async with store.transaction() as tx:
        await name(tx)
        # The answer comes while this is not committed, and has to wait for it.
        keeping = asyncio.create_task(settle(asking))
        await asyncio.sleep(0.5)
    await keeping
    assert set((await providers(store)).values()) == {"google"}


@pytest.mark.parametrize("state", ["scheduled", "dispatched", "queued"])
async def test_what_is_on_its_way_gets_its_provider_too(
    store: Store, table: ProviderTable, dns_port: int, state: str
) -> None:
    await messages(store, "late@gmail.zone.test", "own@own.zone.test")
    await Naming(store, table).run_cycle()
    await messages(store, "not-looked-at@gmail.zone.test")
    # What its state demands besides is of no matter here.
    await store.execute(sql("ALTER TABLE message DISABLE TRIGGER ALL"))
    await store.execute(sql(f"UPDATE message SET state = '{state}'"))
    await settle(Asking(store, table, MailDns([("127.0.0.1", dns_port)], 2)))
    await Naming(store, table).run_cycle()
    assert await providers(store) == {
        "late@gmail.zone.test": "google",
        "own@own.zone.test": "mail.own.test",
        "not-looked-at@gmail.zone.test": "google",
    }


def test_pauses_double_up_to_an_hour() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 8, 30)] == [30, 60, 120, 3600, 3600]
