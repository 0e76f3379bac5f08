"""Only what could have changed on the way out is probed again."""

from __future__ import annotations

from node_agent.apply.model import NodeSpec
from node_agent.apply.probe_choice import to_probe
from node_agent.apply.read_spec import read_spec
from tests.apply.specs import add_egress, good_spec

BOTH = ["px001", "px002"]


def _spec(**changes: object) -> NodeSpec:
    spec = good_spec()
    for name, value in changes.items():
        setattr(spec.egresses[1], name, value)
    return read_spec(spec)


def test_the_first_generation_proves_every_transport() -> None:
    assert to_probe(None, _spec(), same_templates=True) == BOTH


def test_an_unchanged_generation_proves_nothing() -> None:
    assert to_probe(_spec(), _spec(), same_templates=True) == []


def test_other_templates_prove_everything_again() -> None:
    assert to_probe(_spec(), _spec(), same_templates=False) == BOTH


def test_a_changed_transport_is_proven_alone() -> None:
    assert to_probe(_spec(), _spec(helo_name="new.acme.test"), same_templates=True) == ["px002"]


def test_a_new_transport_is_proven_alone() -> None:
    after = good_spec()
    add_egress(after, 3)
    assert to_probe(_spec(), read_spec(after), same_templates=True) == ["px003"]


def test_a_moved_mailbox_proves_nothing() -> None:
    after = good_spec()
    after.egresses[1].mailboxes.append(after.egresses[0].mailboxes.pop())
    assert to_probe(_spec(), read_spec(after), same_templates=True) == []


def test_what_all_share_is_proven_by_one_of_each_kind_of_exit() -> None:
    after = good_spec()
    after.mail.tls_level = 2
    assert to_probe(_spec(), read_spec(after), same_templates=True) == ["px001"]
    other = good_spec()
    other.hostname = "n2.fleet.test"
    assert to_probe(_spec(), read_spec(other), same_templates=True) == ["px001"]
    before = good_spec()
    for spec in (before, after):
        add_egress(spec, 3).address.address = "192.0.2.7"
    proven = to_probe(read_spec(before), read_spec(after), same_templates=True)
    assert proven == ["px001", "px003"]


def test_a_changed_transport_proves_what_all_share() -> None:
    after = good_spec()
    after.mail.tls_level = 2
    after.egresses[1].helo_name = "new.acme.test"
    assert to_probe(_spec(), read_spec(after), same_templates=True) == ["px002"]
