"""Reading what a look at a node printed."""

from __future__ import annotations

import subprocess

import pytest

from provisioning.errors import ProvisioningError
from provisioning.facts_look import read, script
from tests.provisioning.recorded import text, wish


def test_a_real_look_is_read_whole() -> None:
    found = read(text("node-12", "n1"))
    assert (found.distribution, found.major, found.machine, found.python) == (
        "debian", "12", "x86_64", "3.11",
    )  # fmt: skip
    assert found.packages["postfix"] == "3.7.11-0+deb12u1"
    assert found.users == {"postfleet-agent", "postfleet-gateway"}
    assert found.paths["/etc/postfleet/tls/node.key"].mode == "0640"
    assert found.paths["/opt/postfleet/current"].target == "0.1.0-3cbd390832"
    assert found.releases == {"0.1.0-3cbd390832"}
    assert found.certificate.uri == "spiffe://postfleet/node/n1"
    assert found.units["postfleet-agent.service"].active == "active"


def test_a_package_that_is_half_there_is_not_installed() -> None:
    assert "chrony" not in read(text("bare-13", "n1")).packages


def test_a_look_that_was_cut_short_is_no_look() -> None:
    whole = text("node-12", "n1")
    with pytest.raises(ProvisioningError, match="ended within fact 'units'"):
        read(whole[: whole.index("UnitFileState")])


def test_looking_changes_nothing_and_survives_a_machine_that_has_none_of_it() -> None:
    """Run here: this machine is no node, and must be none afterwards."""
    looked = subprocess.run(
        ["sh", "-euc", script(wish().question)], capture_output=True, text=True, check=True
    )
    found = read(looked.stdout)
    assert found.distribution
    assert found.releases == frozenset()


def test_what_the_node_prints_of_itself_cannot_pass_for_another_fact() -> None:
    found = read(
        text("node-12", "n1").replace("debian\n", "debian\n@postfleet-fact major\n99\n", 1)
    )
    assert found.major == "12"
