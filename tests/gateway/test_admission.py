"""Who may go out: every combination of lease, suspension, closing and target."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_agent.gateway.admission import Admitted, Probe, Refusal, Rules, Stage, admit
from node_agent.gateway.config import EgressConfig, GatewayConfig
from node_agent.gateway.errors import LeaseError
from node_agent.gateway.lease import Lease, close, grant
from node_agent.gateway.targets import target_refusal

IDS = [f"e{number}" for number in range(1, 6)]
CONFIG = GatewayConfig(
    egresses=tuple(
        EgressConfig(
            id=egress_id,
            surrogate_address=IPv4Address(f"198.18.0.{number}"),
            address=IPv4Address("192.0.2.1"),
        )
        for number, egress_id in enumerate(IDS, 1)
    )
)
MX = ("8.8.8.8", 25)
instants = st.integers(0, 10**13)
some_ids = st.sets(st.sampled_from(IDS))


@st.composite
def leases(draw: st.DrawFn) -> Lease:
    trusted, length = draw(instants), draw(st.integers(0, 10**11))
    return Lease(
        draw(st.integers(0, 5)),
        trusted,
        trusted + length,
        frozenset(draw(some_ids)),
        frozenset(draw(some_ids)),
    )


rules = st.builds(
    Rules,
    config=st.just(CONFIG),
    lease=leases(),
    suspensions=st.dictionaries(st.sampled_from(IDS), st.text(max_size=50)),
)


@given(rules, st.integers(1, 5), instants)
def test_a_connection_is_admitted_exactly_when_nothing_speaks_against_it(held, number, now):
    egress_id, lease = f"e{number}", held.lease
    decision = admit(held, f"198.18.0.{number}", MX, now)
    may = (
        lease.epoch > 0
        and now < lease.trusted_until_ns
        and egress_id in lease.egress_ids
        and egress_id not in lease.closed
        and egress_id not in held.suspensions
    )
    if may:
        assert decision == Admitted(CONFIG.egresses[number - 1], MX)
    else:
        assert isinstance(decision, Refusal)
        assert decision.egress_id == egress_id
        lease_is_good = lease.refusal(egress_id, now) is None
        assert (decision.stage is Stage.SUSPENDED) == lease_is_good


@given(leases())
def test_the_instants_of_a_lease_are_in_order(lease):
    assert lease.cut_at_ns <= lease.kill_at_ns <= lease.expires_at_ns
    if lease.expires_at_ns:
        assert lease.cut_at_ns < lease.expires_at_ns
    if lease.expires_at_ns - lease.trusted_until_ns >= 200_000_000:
        assert lease.trusted_until_ns < lease.cut_at_ns < lease.kill_at_ns


@given(rules, st.text(max_size=600))
def test_a_greeting_is_one_printable_line_that_fits_rfc_5321(held, reason):
    line = Refusal("e1", Stage.SUSPENDED, reason).greeting()
    assert line.startswith(b"421 4.3.2 postfleet: e1 suspended: ")
    assert line.endswith(b"\r\n")
    assert len(line) <= 512
    assert all(0x20 <= octet <= 0x7E for octet in line[:-2])


def test_the_probe_address_is_answered_without_a_lease():
    decision = admit(Rules(CONFIG), "198.18.0.2", ("198.18.255.254", 25), 0)
    assert decision == Probe(CONFIG.egresses[1])


def test_the_probe_address_is_not_answered_to_a_stranger():
    assert isinstance(admit(Rules(CONFIG), "127.0.0.1", ("198.18.255.254", 25), 0), Refusal)


# --- targets ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "what"),
    [
        ("127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("172.31.255.255", "private"),
        ("192.168.0.1", "private"),
        ("169.254.169.254", "link-local"),
        ("100.64.0.1", "shared"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("0.0.0.0", "this network"),
        ("198.19.0.1", "surrogates"),
        ("203.0.113.1", "documentation"),
    ],
)
def test_an_address_inside_is_no_target_unless_its_network_is_allowed(address, what):
    assert what in str(target_refusal(address, 25, ()))
    assert target_refusal(address, 25, (IPv4Network(f"{address}/32"),)) is None


@given(st.ip_addresses(v=4))
def test_every_other_address_is_a_target_only_if_it_is_globally_routable(address):
    if target_refusal(str(address), 25, ()) is None:
        assert address.is_global or address in IPv4Network("192.88.99.0/24")
        assert not address.is_multicast


@given(st.integers(0, 65535))
def test_only_mail_ports_are_targets(port):
    assert (target_refusal("8.8.8.8", port, ()) is None) == (port in {25, 465, 587})


# --- what changes a lease ---------------------------------------------------------------------


@given(leases(), st.integers(0, 6), instants, st.integers(0, 10**11), some_ids)
def test_a_lease_of_an_older_epoch_never_replaces_a_newer(held, epoch, trusted, length, ids):
    if epoch < max(held.epoch, 1):
        with pytest.raises(LeaseError):
            grant(held, epoch, trusted, trusted + length, ids, trusted)
        return
    new = grant(held, epoch, trusted, trusted + length, ids, trusted)
    assert (new.epoch, new.egress_ids) == (epoch, ids)
    assert new.closed == (held.closed & ids if epoch == held.epoch else frozenset())


def test_a_lease_of_another_clock_is_refused():
    with pytest.raises(LeaseError, match="CLOCK_BOOTTIME"):
        grant(Lease(), 1, 1_700_000_000 * 10**9, 1_700_000_005 * 10**9, [], 10**9)
    with pytest.raises(LeaseError, match="after"):
        grant(Lease(), 1, 5, 4, [], 0)


def test_a_closed_egress_reopens_when_a_lease_left_it_out_and_a_later_one_names_it():
    held = close(grant(Lease(), 3, 50, 60, ["e1", "e2"], 0), ["e1"])
    renewed = grant(held, 3, 70, 80, ["e1", "e2"], 0)
    assert renewed.refusal("e1", 0) is not None
    without = grant(renewed, 3, 70, 80, ["e2"], 0)
    again = grant(without, 3, 70, 80, ["e1", "e2"], 0)
    assert again.refusal("e1", 0) is None
