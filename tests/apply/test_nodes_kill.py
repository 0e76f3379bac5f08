"""postfleet-apply killed at its steps, and the power cut in the middle, on real nodes.

Whatever the moment, the next run finds one whole generation, old or new, and all services run it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from postfleet.v1 import local_pb2, spec_pb2

from tests.apply.prepared_node import PYTHON, PreparedNode
from tests.apply.specs import add_egress, good_spec

pytestmark = [pytest.mark.root, pytest.mark.lab, pytest.mark.timeout(1800)]

# How many of the steps are tried on each node: spread over all of them, others on each release.
TRIED = 12


@pytest.fixture
def old(node: PreparedNode) -> int:
    """Runs a good spec; its generation."""
    return node.run_good_spec()


def _wider(generation: int) -> spec_pb2.NodeSpec:
    """A spec that changes every file: an egress more, with a domain of its own."""
    spec = good_spec(generation)
    add_egress(spec, 9).mailboxes[:] = ["a@other.test"]
    spec.dkim_keys.add(
        domain="other.test", selector="pf1", private_key_pem=spec.dkim_keys[0].private_key_pem
    )
    return spec


def _die(node: PreparedNode, spec: spec_pb2.NodeSpec, step: int | str) -> int:
    """Have apply killed before this step; return how many steps it took."""
    script = (Path(__file__).parent / "dying_apply.py").read_text()
    node.path("/root/dying_apply.py").write_text(script)
    request = local_pb2.ApplyRequest(spec=spec).SerializeToString()
    node.path("/root/request").write_bytes(request)
    return int(node.run(f"{PYTHON} /root/dying_apply.py /root/request {step} 2>/dev/null"))


def _runs(node: PreparedNode, generation: int) -> None:
    """Assert that files and services are those of this generation."""
    names = set(node.run("postconf -M | awk '{print $1}'").split())
    assert ("egress-px009" in names) == (generation % 2 == 1)
    with node.gateway() as gateway:
        status = gateway.status()
    assert status.config_generation == generation
    assert ("px009" in {e.egress_id for e in status.egresses}) == (generation % 2 == 1)
    assert node.run("ls /etc/postfleet/pending.json 2>/dev/null || true") == ""
    node.run("systemctl is-active opendkim && pgrep -x master")


def test_killed_at_a_step_the_next_run_has_one_whole_generation(
    node: PreparedNode, old: int
) -> None:
    old += old % 2  # even: old, odd: new
    assert node.apply(good_spec(old)).stage == ""
    new = old + 1
    steps = _die(node, _wider(new), 10**9)
    _runs(node, new)
    assert steps > TRIED
    offset = 0 if node.release == "bookworm" else steps // TRIED // 2
    for step in range(offset, steps, max(1, steps // TRIED)):
        old, new = new + 1, new + 2
        assert node.apply(good_spec(old)).stage == ""
        assert _die(node, _wider(new), step) == step
        reply = node.apply(good_spec(old))
        if reply.stage == "":
            assert reply.running_generation == old, f"killed before step {step}"
        else:
            # it was proven already: the old one is refused as the lower one
            assert (reply.stage, reply.running_generation) == ("validate", new), step
        _runs(node, int(reply.running_generation))
    # and what runs passes its probes when everything is asked to be proven again
    final = _wider(new + 2)
    final.mail.minimal_backoff_s += 1
    assert node.apply(final).stage == ""


def test_after_a_power_cut_in_mid_swap_the_node_boots_into_the_old_generation(
    node: PreparedNode, old: int
) -> None:
    old += old % 2
    assert node.apply(good_spec(old)).stage == ""
    before = node.current()
    node.run("systemctl start postfleet-boot")
    _die(node, _wider(old + 1), "reload")
    assert node.current() != before
    assert "pending.json" in node.run("ls /etc/postfleet")
    node.node.kill()
    node.node.boot()
    node.run("systemctl start multi-user.target; systemctl start postfix")
    assert node.current() == before
    assert "took back" in node.run("journalctl -b -u postfleet-boot --no-pager -o cat")
    _runs(node, old)
    node.run("nft list table inet postfleet && ip route show table local | grep 198.18.0.0/15")
    proven = good_spec(old)
    proven.mail.minimal_backoff_s += 1
    assert node.apply(proven).stage == ""


def test_a_generation_damaged_on_the_disk_is_made_anew_at_boot(
    node: PreparedNode, old: int
) -> None:
    before = node.current()
    node.run("echo 'bif = yes' >> /etc/postfleet/current/postfix/main.cf")
    node.run("rm /etc/postfix/master.cf; echo > /etc/postfix/master.cf")
    node.run("systemctl restart postfleet-boot")
    assert "rendered anew" in node.run("journalctl -u postfleet-boot --no-pager -o cat")
    assert node.current() != before
    assert "bif = yes" not in node.run("cat /etc/postfix/main.cf")
    assert "egress-px001" in node.run("postconf -M")
