"""A lab node with Debian's packages, our release and our units, but without controller and agent.

What provisioning does over ssh is done here from the console, because these tests are about what
happens on the node afterwards. `asks` is postfleet-apply's own socket, as the agent would use it.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from postfleet.v1 import local_pb2, spec_pb2

from lab.node import Node
from node_agent.local.apply_client import apply_blocking
from node_agent.local.gateway_blocking import BlockingGatewayClient
from provisioning.wheelhouse import Bundle
from tests.apply.specs import good_spec

UNITS = Path(__file__).parents[2] / "provisioning" / "units"
PACKAGES = "postfix postfix-lmdb opendkim nftables logrotate openssl python3-venv"
PYTHON = "/opt/postfleet/current/bin/python"
NEWEST = {"bookworm": "12", "trixie": "13"}

_UNITS = """
systemd-sysusers postfleet.conf
systemd-tmpfiles --create postfleet.conf
systemctl daemon-reload
"""
_PACKAGES = f"""
export DEBIAN_FRONTEND=noninteractive
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
dpkg -s {PACKAGES} >/dev/null 2>&1 || apt-get -q update
apt-get -q -y install --no-install-recommends {PACKAGES}
"""
_RELEASE = """
rm -rf /root/bundle /opt/postfleet/test
mkdir -p /root/bundle && tar -xf /root/bundle.tar -C /root/bundle
python3 -m venv --without-pip /opt/postfleet/test
/opt/postfleet/test/bin/python /root/bundle/{pip}/pip -q --disable-pip-version-check install \
  --no-index --find-links /root/bundle --no-deps --require-hashes -r /root/bundle/requirements.txt
ln -sfn test /opt/postfleet/current
"""
_START = """
systemctl enable -q postfix opendkim
systemctl enable -q --now postfleet-net postfleet-boot postfleet-gateway.socket
systemctl enable -q --now postfleet-apply.socket postfleet-gateway
"""


class PreparedNode:
    """One node, ready for its first spec."""

    def __init__(self, node: Node, outside: str) -> None:
        self.node = node
        # An address of the host that the node reaches; receivers of these tests listen there.
        self.outside = outside
        self.release = node.release

    def prepare(self, bundle: Bundle) -> None:
        """Units first: their conditions keep Debian's Postfix from starting once installed."""
        for source in UNITS.rglob("*"):
            if source.is_file():
                self._bring(source)
        self.run(_UNITS)
        self.run(_PACKAGES, timeout_s=300)
        shutil.copy(bundle.path, self.node.root / "root/bundle.tar")
        self.run(_RELEASE.format(pip=bundle.pip_wheel), timeout_s=300)
        self.run(_START)

    def _bring(self, source: Path) -> None:
        kind = source.suffixes[0].removeprefix(".")
        if kind in ("sysusers", "tmpfiles"):
            target = self.node.root / f"etc/{kind}.d/postfleet.conf"
        else:
            target = self.node.root / "etc/systemd/system" / source.relative_to(UNITS)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)

    def run(self, command: str, *, check: bool = True, timeout_s: float = 120) -> str:
        """Run a shell script as root; give what it wrote to stdout."""
        return self.node.run(f"set -e\n{command}", check=check, timeout_s=timeout_s).stdout

    def run_as(self, user: str, command: str, *, check: bool = True) -> str:
        """Run a shell script as another user, with that user's groups."""
        return self.run(f"runuser -u {user} -- sh -c {shlex.quote(command)}", check=check)

    def path(self, path: str) -> Path:
        """A path of the running node, as the host can open it (sockets, too)."""
        leader = self.node.leader()
        assert leader is not None, "the node is off"
        return Path(f"/proc/{leader[0]}/root{path}")

    def apply(self, spec: spec_pb2.NodeSpec) -> local_pb2.ApplyReply:
        """Ask postfleet-apply for this spec."""
        return self.ask(local_pb2.ApplyRequest(spec=spec))

    def run_good_spec(self) -> int:
        """Have it run good_spec() under the generation it has (1 for none); return that."""
        if "current" in self.run("ls /etc/postfleet"):
            egresses = self.run("cat /etc/postfleet/gateway/egresses.json")
            generation = int(json.loads(egresses)["generation"])
        else:
            generation = 1
        reply = self.apply(good_spec(generation))
        assert (reply.stage, reply.error, reply.running_generation) == ("", "", generation)
        return generation

    def ask(self, request: local_pb2.ApplyRequest) -> local_pb2.ApplyReply:
        """Ask postfleet-apply for anything."""
        return apply_blocking(request, self.path("/run/postfleet-apply.sock"))

    def gateway(self) -> BlockingGatewayClient:
        """The gateway's control socket."""
        return BlockingGatewayClient(self.path("/run/postfleet-gateway/control.sock"))

    def lease(self, epoch: int, egress_ids: list[str]) -> None:
        """Let the gateway send for an hour."""
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        with self.gateway() as gateway:
            gateway.lease(epoch, now + 3600 * 10**9, now + 3700 * 10**9, egress_ids)

    def submit(self, sender: str, recipient: str, content: bytes) -> tuple[int, str]:
        """Hand a message over as the agent does; the reply that decided."""
        self.path("/tmp/message.eml").write_bytes(content)
        script = (
            "import smtplib, sys, json\n"
            "with smtplib.SMTP('127.0.0.1', 10587, 'localhost') as s:\n"
            "    s.ehlo()\n"
            "    r = s.mail(sys.argv[1], ['BODY=8BITMIME'])\n"
            "    r = s.rcpt(sys.argv[2]) if r[0] == 250 else r\n"
            "    r = s.data(open('/tmp/message.eml', 'rb').read()) if r[0] == 250 else r\n"
            "print(json.dumps([r[0], r[1].decode()]))\n"
        )
        words = shlex.join([PYTHON, "-c", script, sender, recipient])
        code, reply = json.loads(self.run_as("postfleet-agent", words))
        return code, reply

    def log(self) -> list[str]:
        """Postfix's log, all of its lines."""
        return self.path("/var/log/postfleet/mail.log").read_text(errors="replace").splitlines()

    def queue(self) -> list[dict[str, object]]:
        """`postqueue -j`, one entry for each message."""
        return [json.loads(line) for line in self.run("postqueue -j").splitlines()]

    def empty_queue(self) -> None:
        """Delete all mail."""
        self.run("postsuper -d ALL 2>/dev/null")

    def current(self) -> str:
        """Name of the generation that `current` shows."""
        return self.run("readlink /etc/postfleet/current").strip().removeprefix("generations/")

    def wait_for_log(self, *words: str, since: int = 0, timeout_s: float = 30) -> str:
        """The first line after the first `since` ones that has all these words."""
        found: list[str] = []

        def there() -> bool:
            found[:] = [line for line in self.log()[since:] if all(word in line for word in words)]
            return bool(found)

        eventually(there, lambda: f"no line with {words}; last: {self.log()[-5:]}", timeout_s)
        return found[0]


def eventually(
    true: Callable[[], bool], otherwise: Callable[[], str], timeout_s: float = 30
) -> None:
    """Wait until something holds; fail with words when it does not in time."""
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.1)
