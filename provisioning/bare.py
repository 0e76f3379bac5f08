"""Is what answers a bare machine, a half-made node, or a disk that has to go? And waiting for it.

A machine without a node's certificate is bare, however far an earlier provisioning came: it never
was this node. One that has a certificate and the mark REBUILDING was reinstalled by a rebuild that
did not end. Everything else is an old disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from enum import StrEnum

from provisioning.errors import ConnectionFailed, Interrupted, ReinstallFailed, WrongHostKey
from provisioning.facts import Facts
from provisioning.machine import Access, Machine
from provisioning.one_node import Job, look
from provisioning.wish import CERTIFICATE, REBUILDING

QUICK_S = 8
PAUSE_S = 2.0


class Disk(StrEnum):
    """What is on the disk of a machine that answers."""

    BARE = "bare"
    UNFINISHED = "unfinished"
    NODE = "node"


def disk_of(facts: Facts) -> Disk:
    """What a look at the machine says. Pure."""
    if CERTIFICATE not in facts.paths:
        return Disk.BARE
    return Disk.UNFINISHED if REBUILDING in facts.paths else Disk.NODE


def look_once(job: Job, access: Access) -> Facts:
    """One quick look at what answers there. Raises ConnectionFailed, also for a wrong host key."""
    with Machine(access, tries=1, timeout_s=QUICK_S) as machine:
        return look(machine, job.wish)


def wait_bare(
    job: Job, ways: Callable[[], Iterator[Access]], wait_s: float, now: Callable[[str], None]
) -> Access:
    """The way by which a bare machine answers; tries them all until one does.

    `ways` is asked again for each try: the operator may write the new key into its file meanwhile.
    `now` is told what is seen whenever that changes. Raises Interrupted, ReinstallFailed.
    """
    deadline = time.monotonic() + wait_s
    said = ""
    while True:
        words = "no ssh host key is known for it"
        for access in ways():
            try:
                disk = disk_of(look_once(job, access))
            except WrongHostKey:
                words = f"{access.host} shows a host key that nobody told us"
            except ConnectionFailed:
                words = f"{access.host} does not answer"
            else:
                if disk is not Disk.NODE:
                    return access
                words = f"{access.host} still has the old disk"
        if words != said:
            now(words)
            said = words
        if job.stopped():
            raise Interrupted(
                f"{job.node_id}: stopped while waiting for the bare machine ({words})"
            )
        if time.monotonic() > deadline:
            raise ReinstallFailed(
                f"{job.node_id}: no bare machine in {wait_s / 60:.0f} minutes: {words}. Reinstall "
                "it at the provider, and take its new ssh host key from the console there (never "
                "from the network): --host-key 'ssh-ed25519 AAAA…'"
            )
        time.sleep(PAUSE_S)
