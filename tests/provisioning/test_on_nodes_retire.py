"""The end of a node's life, on real machines."""

from __future__ import annotations

import pytest

from tests.provisioning.conftest import Fleet

pytestmark = [pytest.mark.lab, pytest.mark.root, pytest.mark.timeout(1200)]


def test_decommission_takes_the_node_out_and_cleans_the_machine(provisioned: Fleet) -> None:
    address = provisioned.node("n2").address  # another machine's, after a rebuild
    node = next(n for n in provisioned.lab.nodes.values() if str(n.address) == address)
    preview = provisioned.fab("decommission", "--node", "n2", "--dry-run")
    assert preview.returncode == 0, preview.stdout
    assert node.run("systemctl is-active postfleet-agent").stdout == "active\n"
    done = provisioned.fab("decommission", "--node", "n2")
    assert done.returncode == 0, done.stdout
    assert provisioned.node("n2").state == "decommissioned"
    for path in ("/etc/postfleet", "/opt/postfleet", "/var/lib/postfleet-agent"):
        assert node.run(f"ls {path}", check=False).returncode != 0
    assert node.run("getent passwd postfleet-agent", check=False).stdout == ""
    assert node.run("ls /etc/systemd/system | grep postfleet", check=False).stdout == ""
    again = provisioned.fab("decommission", "--node", "n2")
    assert again.returncode == 0, again.stdout
    assert "nothing changed" in again.stdout
