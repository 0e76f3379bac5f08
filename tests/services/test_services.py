"""DNS and proxies of a lab without nodes: real daemons in its namespaces."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from lab.dns import DnsServer
from lab.dns_config import AUTHORITY, RESOLVER, zone_of
from lab.dns_update import DnsUpdateError, Publisher, Record, TsigKey
from lab.lab import Lab
from lab.network_namespace import Namespace
from lab.proxies import Proxies
from lab.proxies_microsocks import MICROSOCKS_PORT, start_microsocks
from lab.settings import LabSettings
from lab.verify.judge import Delivery, Resolver, judge_all

TARGET = "203.0.113.99"

SOURCE_ECHO = f"""
import socket
listener = socket.create_server(("{TARGET}", 25), backlog=100)
while True:
    peer, address = listener.accept()
    peer.sendall(address[0].encode())
    peer.close()
"""
CLIENT = f"""
import socks, sys
proxy, port, user, password = sys.argv[1:]
s = socks.socksocket()
s.settimeout(10)
s.set_proxy(socks.SOCKS5, proxy, int(port), username=user, password=password)
try:
    s.connect(("{TARGET}", 25))
    print(s.recv(100).decode())
except (OSError, socks.ProxyError) as error:
    print(error)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    Lab.remove("tservices")
    with Lab.up(
        LabSettings(name="tservices", nodes=0, releases=(), dns=True, receivers=True)
    ) as lab:
        yield lab


@pytest.fixture(scope="module")
def dns(lab: Lab) -> DnsServer:
    assert isinstance(lab.dns, DnsServer)
    return lab.dns


@pytest.fixture(scope="module")
def client(lab: Lab) -> Namespace:
    receiver = lab.network.attach("target", [f"{TARGET}/32"])
    receiver.popen([sys.executable, "-c", SOURCE_ECHO], log="echo")
    address = IPv4Address(int(lab.network.plan.node_net[0]) + 9 * 256)
    return lab.network.attach("client", [f"{address}/32"])


@pytest.fixture(scope="module")
def proxies(lab: Lab, client: Namespace) -> Proxies:
    addresses = [f"198.51.100.{n}" for n in range(1, 6)]
    return Proxies.start(
        lab.network, lab.directory / "proxies", lab.directory / "secrets", addresses, ["ann", "bob"]
    )


def through(client: Namespace, proxy: str, user: str, password: str, port: int = 1080) -> str:
    return client.run(
        [sys.executable, "-c", CLIENT, proxy, str(port), user, password]
    ).stdout.strip()


def test_names_find_their_zone() -> None:
    assert zone_of("A.B.test.") == "test"
    assert zone_of("2.0.0.127.dnsbl.test") == "dnsbl.test"
    assert zone_of("7.100.51.198.in-addr.arpa") == "100.51.198.in-addr.arpa"
    assert zone_of("example.com") == ""
    assert zone_of("contest") == ""


@pytest.mark.root
def test_published_records_are_found_and_publishing_twice_changes_nothing(dns: DnsServer) -> None:
    records = [
        Record(f"k{n}._domainkey.a.test", "TXT", f'"p={n}" "{"x" * 250}"') for n in range(250)
    ]
    records += [Record("9.100.51.198.in-addr.arpa", "PTR", "out9.a.test.")]
    assert dns.publisher.publish(records) == 4
    assert dns.publisher.publish(records) == 4
    lookup = dns.lookup()
    assert lookup.records("k249._domainkey.a.test", "TXT") == ("p=249" + "x" * 250,)
    assert lookup.reverse_names("198.51.100.9") == ("out9.a.test",)
    assert lookup.records("k250._domainkey.a.test", "TXT") == ()
    dns.publisher.remove("k249._domainkey.a.test", "TXT")
    assert dns.lookup(AUTHORITY).records("k249._domainkey.a.test", "TXT") == ()


@pytest.mark.root
def test_answers_of_the_lab_are_validated(dns: DnsServer, lab: Lab) -> None:
    dns.publisher.publish([Record("signed.test", "A", "203.0.113.9")])
    argv = ["kdig", "-b", str(lab.controller_address), "@203.0.113.53", "+dnssec", "signed.test"]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert "qr rd ra ad" in said


@pytest.mark.root
def test_an_update_with_another_key_is_refused(dns: DnsServer, lab: Lab) -> None:
    wrong = TsigKey(dns.key.name, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
    stranger = Publisher(wrong, source=str(lab.controller_address))
    with pytest.raises(DnsUpdateError, match="updating test at"):
        stranger.publish([Record("evil.test", "A", "203.0.113.9")])
    assert dns.lookup(AUTHORITY).records("evil.test", "A") == ()


@pytest.mark.root
def test_a_name_outside_the_lab_is_refused(dns: DnsServer) -> None:
    with pytest.raises(DnsUpdateError, match="no zone for it"):
        dns.publisher.publish([Record("example.com", "A", "203.0.113.9")])


@pytest.mark.root
def test_the_dnsbl_has_its_test_points_and_lists_and_delists(dns: DnsServer) -> None:
    authority = dns.lookup(AUTHORITY)
    assert authority.records("2.0.0.127.dnsbl.test", "A") == ("127.0.0.2",)
    assert authority.records("1.0.0.127.dnsbl.test", "A") == ()
    dns.publisher.set_listed("198.51.100.7", listed=True, reason="spam trap")
    assert dns.lookup().records("7.100.51.198.dnsbl.test", "TXT") == ("spam trap",)
    dns.publisher.set_listed("198.51.100.7", listed=False)
    assert dns.lookup(AUTHORITY).records("7.100.51.198.dnsbl.test", "A") == ()


@pytest.mark.root
def test_the_exit_is_the_address_that_was_asked(proxies: Proxies, client: Namespace) -> None:
    for n in (1, 3, 5):
        proxy = f"198.51.100.{n}"
        assert through(client, proxy, "ann", proxies.password("ann")) == proxy
    opened = [c for c in proxies.connections() if c.event == "open"]
    assert [(c.user, c.proxy, c.exit, c.target) for c in opened[-1:]] == [
        ("ann", "198.51.100.5", "198.51.100.5", TARGET)
    ]


@pytest.mark.root
def test_a_wrong_password_is_refused_and_logged(proxies: Proxies, client: Namespace) -> None:
    assert "authentication failed" in through(client, "198.51.100.1", "ann", "no")
    assert [c for c in proxies.connections() if c.event == "refused"]


@pytest.mark.root
def test_a_password_changes_at_once_for_new_connections(
    proxies: Proxies, client: Namespace
) -> None:
    old = proxies.password("bob")
    proxies.set_password("bob", "another")
    assert "authentication failed" in through(client, "198.51.100.2", "bob", old)
    assert through(client, "198.51.100.2", "bob", "another") == "198.51.100.2"
    assert proxies.password("bob") == old
    proxies.set_password("bob", old, tell=True)
    assert through(client, "198.51.100.2", "bob", old) == "198.51.100.2"


@pytest.mark.root
def test_one_proxy_stops_and_comes_back_alone(proxies: Proxies, client: Namespace) -> None:
    password = proxies.password("ann")
    proxies.stop("198.51.100.4")
    assert "refused" in through(client, "198.51.100.4", "ann", password)
    assert through(client, "198.51.100.5", "ann", password) == "198.51.100.5"
    proxies.resume("198.51.100.4")
    assert through(client, "198.51.100.4", "ann", password) == "198.51.100.4"


@pytest.mark.root
def test_the_host_gets_no_users(proxies: Proxies) -> None:
    assert "ann" not in {line.split(":")[0] for line in Path("/etc/passwd").read_text().split("\n")}


@pytest.mark.root
def test_another_make_of_proxy_works_beside_it(
    lab: Lab, proxies: Proxies, client: Namespace
) -> None:
    process = start_microsocks(lab.network, "198.51.100.3", "eve", "secret")
    deadline = time.monotonic() + 10
    while (said := through(client, "198.51.100.3", "eve", "secret", MICROSOCKS_PORT)) != (
        "198.51.100.3"
    ):
        assert time.monotonic() < deadline, said
    process.stop()


@pytest.mark.root
def test_receivers_are_found_by_name_and_confirmed_by_their_addresses(dns: DnsServer) -> None:
    lookup = dns.lookup()
    for domain in ("google.test", "microsoft.test", "yahoo.test", "example1.test"):
        for host in lookup.exchangers(domain):
            (address,) = lookup.records(host, "A")
            assert lookup.reverse_names(address) == (host,)
            assert lookup.records(f"_25._tcp.{host}", "TLSA")[0].startswith("3 1 1 ")


def until_resolved(dns: DnsServer, name: str, kind: str) -> None:
    """The resolver denies a new name as long as it remembers an NSEC around it (RFC 8198)."""
    deadline = time.monotonic() + 20
    while not dns.lookup().records(name, kind):
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.root
def test_what_a_receiver_saw_is_judged_with_the_labs_dns(
    lab: Lab, dns: DnsServer, client: Namespace
) -> None:
    source = str(lab.network.plan.node_net[9 * 256])
    dns.publisher.publish([Record("a.test", "TXT", f'"v=spf1 ip4:{source} -all"')])
    send = (
        "import smtplib; s = smtplib.SMTP('203.0.113.31', local_hostname='out.a.test');"
        "s.starttls(); s.sendmail('x@a.test', ['y@yahoo.test'], 'From: x@a.test\\n\\nhi\\n')"
    )
    client.run([sys.executable, "-c", send])
    until_resolved(dns, "a.test", "TXT")
    (record,) = lab.receivers.records("yahoo")
    assert (record.source, record.helo, record.tls) == (source, "out.a.test", "TLSv1.3")
    delivery = Delivery(lab.receivers.raw_path(record), record.source, record.helo, record.sender)
    (verdict,) = judge_all([delivery], Resolver(RESOLVER, str(lab.controller_address)), 1)
    assert (verdict.dkim, verdict.spf, verdict.dmarc) == ("none", "pass", "none")
    assert verdict.fcrdns == "fail"


@pytest.mark.root
def test_another_process_takes_the_services_up(lab: Lab, dns: DnsServer) -> None:
    same = Lab.attach(lab.name)
    assert same.dns.key == dns.key
    assert [p.name for p in same.receivers.providers] == [p.name for p in lab.receivers.providers]
