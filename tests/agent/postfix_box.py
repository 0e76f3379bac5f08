"""A real Postfix in a root of its own (Debian 12 or 13), in a network and process namespace.

The root is made once with debootstrap and kept; each box is an overlay over it with an own network
namespace, so nothing of a box outlives it. Ending the box's first process ends all of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

ROOTS = Path("/var/cache/postfleet-agent-roots")
PACKAGES = "postfix,postfix-lmdb,procps,iproute2"
INTAKE_PORT = 10587
SINK_PORT = 2525

MAIN_CF = """\
compatibility_level = 3.6
myhostname = box.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = reject_non_fqdn_recipient, permit_mynetworks, reject
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 10000
smtpd_hard_error_limit = 10000
smtpd_peername_lookup = no
default_transport = retry:4.3.5 postfleet: no egress for this sender on this node
sender_dependent_default_transport_maps = texthash:/etc/postfix/senders
recipient_delimiter = +
notify_classes =
bounce_queue_lifetime = 60s
smtp_mx_session_limit = 1
smtp_tls_security_level = none
smtp_helo_timeout = 5s
smtp_data_done_timeout = 3s
minimal_backoff_time = 2s
maximal_backoff_time = 4s
maximal_queue_lifetime = 1h
queue_run_delay = 2s
transport_retry_time = 2s
service_throttle_time = 5s
enable_long_queue_ids = yes
maillog_file = /var/log/postfleet/mail.log
smtputf8_enable = yes
"""

MASTER_CF = """\
127.0.0.1:10587 inet n - n - 20 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
egress-px001 unix - - n - - smtp
  -o smtp_bind_address=198.18.0.1
  -o smtp_helo_name=px001.test
  -o syslog_name=postfix/egress-px001
"""


def make_root(release: str) -> Path:
    """The base root of `release` (bookworm, trixie), made when missing (about a minute)."""
    root = ROOTS / release
    if (root / "usr/sbin/postqueue").exists():
        return root
    ROOTS.mkdir(parents=True, exist_ok=True)
    temporary = ROOTS / f"{release}.{os.getpid()}"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", release, str(temporary)],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    temporary.rename(root)
    return root


class PostfixBox:
    """One Postfix; a context manager. `root` is its file system, `namespace` its network."""

    def __init__(self, release: str, place: Path, extra_main_cf: str = "") -> None:
        self.release = release
        self.root = place / "root"
        self.namespace = f"pfa-{os.getpid()}-{place.name[-20:]}"
        self._place = place
        self._extra = extra_main_cf
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """Postfix's log."""
        return self.root / "var/log/postfleet/mail.log"

    @property
    def postqueue(self) -> list[str]:
        """The command that shows the queue."""
        return ["chroot", str(self.root), "/usr/sbin/postqueue", "-j"]

    def __enter__(self) -> PostfixBox:
        try:
            self._mount()
            self._configure()
            _run("ip", "netns", "add", self.namespace)
            for command in (
                "ip link set lo up",
                "ip route replace local 198.18.0.0/15 dev lo",
            ):
                self.in_namespace(*command.split())
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)
        for _ in range(50):
            if not os.path.ismount(self.root):
                break
            subprocess.run(["umount", str(self.root)], check=False, capture_output=True)
            time.sleep(0.1)

    def hold_active(self) -> None:
        """What the guard does when Postfix has ended, as if all of it may have been sent."""
        spool, reports = self.root / "var/spool/postfix", self._place / "held"
        reports.mkdir(exist_ok=True)
        for path in (spool / "active").iterdir():
            (reports / path.name).write_text("a connection was open: maybe sent")
            path.rename(spool / "hold" / path.name)

    def start(self) -> None:
        """Start Postfix and wait for its intake."""
        inside = "mount -t proc proc /proc && exec /usr/sbin/postfix start-fg"
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "chroot"]
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, *command, str(self.root), "sh", "-c", inside],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 20
        while not self._listens():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"Postfix does not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL to Postfix and all it started, at once, as a power failure would."""
        process = self._process
        if process is None:
            return
        self._process = None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (self.root / "var/spool/postfix/pid/master.pid").unlink(missing_ok=True)

    def chroot(self, *command: str) -> str:
        """Run a command inside the root, in the box's network."""
        return self.in_namespace("chroot", str(self.root), *command)

    def in_namespace(self, *command: str) -> str:
        """Run a command in the box's network."""
        return _run("ip", "netns", "exec", self.namespace, *command)

    def reload(self) -> None:
        """`postfix reload`, from within the box's process namespace (its master is process 1)."""
        (master,) = self.inner_pids("master")
        inside = ["nsenter", "-t", str(master), "-p", "-m", "-n", "-r", "-w"]
        _run(*inside, "/usr/sbin/postfix", "reload")

    def inner_pids(self, name: str) -> list[int]:
        """Host pids of the box's processes of this name."""
        found = []
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError, ValueError):
                pid = int(entry.name)
                same_root = Path(f"/proc/{pid}/root").readlink() == self.root
                if same_root and Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(pid)
        return found

    def queue(self) -> list[dict[str, object]]:
        """Postfix's queue as postqueue -j tells it."""
        return [json.loads(line) for line in self.chroot("/usr/sbin/postqueue", "-j").splitlines()]

    def _listens(self) -> bool:
        table = self.in_namespace("cat", "/proc/net/tcp")
        return f"0100007F:{INTAKE_PORT:04X} 00000000:0000 0A" in table

    def _mount(self) -> None:
        for name in ("upper", "work", "root"):
            (self._place / name).mkdir(parents=True, exist_ok=True)
        base = make_root(self.release)
        options = f"lowerdir={base},upperdir={self._place}/upper,workdir={self._place}/work"
        _run("mount", "-t", "overlay", "overlay", "-o", options, str(self.root))

    def _configure(self) -> None:
        etc = self.root / "etc/postfix"
        (etc / "main.cf").write_text(MAIN_CF + self._extra)
        (etc / "master.cf").write_text(MASTER_CF)
        (etc / "senders").write_text("@a.test egress-px001:[127.0.0.1]:2525\n")
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch(0o644)
        shutil.copy("/etc/hosts", self.root / "etc/hosts")
        for name in ("null", "urandom", "random"):
            device = self.root / "dev" / name
            if not device.exists():
                _run("mknod", "-m", "666", str(device), "c", "1", {"null": "3"}.get(name, "9"))


def _run(*command: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
