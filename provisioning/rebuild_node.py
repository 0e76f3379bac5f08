"""Rebuilds one node: close it, fence it, bare Debian, new certificate, provision, its share again.

What is done is always seen from the machine and the controller, never remembered here, so that a
rebuild which was cut off anywhere goes on when it is run again:

    seen                                    left to do
    no answer, or an old disk               everything
    a bare machine                          all but the reinstallation
    the mark REBUILDING, node cordoned      provision (what is missing), open the node

From the first change on the node is cordoned: whatever the machine does meanwhile (an old one that
comes back, a new one half made), it gets no egress.

Fencing says "this machine cannot send", so it needs a proof where the node has a lease: that its
machine, seen with the node's certificate on its disk, was reinstalled under our eyes. Where nothing
answered, or another machine takes its place (`--replace-with`, or a bare one stood there already),
nobody knows what the old one does: it is not fenced. The new certificate ends its session, and its
lease ends by itself, a minute after it was heard last; the new machine waits for that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from ipaddress import ip_address

from postfleet.v1 import fleet_pb2

from provisioning import steps
from provisioning.bare import Disk, disk_of, look_once, wait_bare
from provisioning.errors import (
    ConnectionFailed,
    Interrupted,
    LeftToDo,
    ProvisioningError,
)
from provisioning.fleet import Fleet
from provisioning.machine import Access, Machine
from provisioning.one_node import Job, bring_about
from provisioning.rebuild_how import How
from provisioning.reinstall import run_hook
from provisioning.repin import key_as_written, still_to_write, write_key
from provisioning.share import await_share
from provisioning.wish import REBUILDING

BACK = "alive again, left alone"


def is_lost(node: fleet_pb2.Node) -> bool:
    """The controller counts it as failed: it had terms, has none now, and is not connected."""
    return node.state in ("lost", "fenced") and not node.lease_valid


def rebuild(job: Job, how: How) -> str:
    """Returns "rebuilt", or BACK where only lost nodes are asked for. Raises ProvisioningError."""
    fleet = fleet_of(job)
    node = fleet.node(job.node_id)
    if how.all_failed and not is_lost(node):
        job.report.line(job.node_id, "look", BACK, 0, f"the controller says: {node.state}")
        return BACK
    found = first_look(job, how, node)
    began = time.monotonic()
    with phase(job, "cordon") as words:
        node = fleet.cordon(job.node_id, True)  # as it is from now on: it gets nothing new
        words.append("it gets no egress until it is rebuilt")
    try:
        return _rebuild(job, how, node, found, began)
    except LeftToDo:
        raise
    except Interrupted as error:
        raise Interrupted(f"{error}\n{_stays(job)}") from error
    except ProvisioningError as error:
        raise ProvisioningError(f"{error}\n{_stays(job)}") from error


def first_look(job: Job, how: How, node: fleet_pb2.Node) -> tuple[Access, Disk] | None:
    """What answers now, before anything is changed; None: nothing that could be the machine.

    Raises ProvisioningError where it is another node, no Debian of ours, or `--replace-with` names
    something that is not bare and does not get so.
    """
    failed: ConnectionFailed | None = None
    for access in _ways(job, how, ""):
        try:
            facts = look_once(job, access)
        except ConnectionFailed as error:
            failed = failed or error
            continue
        disk = disk_of(facts)
        if facts.certificate.uri not in ("", job.wish.certificate_uri):
            raise ProvisioningError(
                f"{access.host} is {facts.certificate.uri}, not {job.node_id}; nothing was changed"
            )
        if disk is not Disk.NODE:
            steps.refuse_unsupported(facts, job.wish)
        if disk is Disk.UNFINISHED and not node.cordoned:
            disk = Disk.NODE  # a rebuild that had come to its end; this is another one
        if disk is Disk.NODE and how.replace_with and not how.reinstall:
            raise ProvisioningError(
                f"{access.host} is {job.node_id} already, with a certificate; --replace-with needs "
                "a bare machine (or --reinstall, which makes it one). Nothing was changed"
            )
        return access, disk
    if how.replace_with and not how.reinstall:
        raise failed or ProvisioningError(f"no ssh host key is known for {how.replace_with}")
    return None


def _rebuild(
    job: Job,
    how: How,
    node: fleet_pb2.Node,
    found: tuple[Access, Disk] | None,
    began: float,
) -> str:
    access, disk = found or (None, Disk.NODE)
    if not node.lease_valid and disk is not Disk.UNFINISHED:
        _fence(job, f"{how.reason}: it has no lease", node.epoch)
    _may_go_on(job, "before the machine was reinstalled")
    if access is None or disk is Disk.NODE:
        access = _reinstall(job, how)
        if node.lease_valid and found is not None and not how.replace_with:
            _fence(job, f"{how.reason}: its machine was reinstalled")
    else:
        job.report.line(job.node_id, "reinstall", "was done", 0, f"{access.host} is {disk}")
    bare_at = time.monotonic()
    job = _at(job, access)  # the new key is written down before anything can stop us
    _may_go_on(job, "before the machine was provisioned")
    _provision(job)
    provisioned_at = time.monotonic()
    sending = _open(job, f"{how.reason}: {job.node_id} is back")
    now = time.monotonic()
    job.report.line(
        job.node_id,
        "rebuilt",
        "done",
        now - began,
        f"{now - bare_at:.1f} s after the machine was bare ({provisioned_at - bare_at:.1f} s to "
        f"provision it); {sending}",
    )
    if left := _left_to_do(job):
        raise LeftToDo(f"{job.node_id} is rebuilt. Left for you:\n" + "\n".join(left))
    return "rebuilt"


def _ways(job: Job, how: How, told: str) -> Iterator[Access]:
    """The ways to the machine, the surest key first; read anew each time it is asked."""
    written = key_as_written(job.node_id, job.options)
    host = how.replace_with or written.host
    keys = [told, how.host_key, written.host_key]
    for key in dict.fromkeys(key for key in keys if key):
        yield replace(written, host=host, host_key=key, key_files=job.access.key_files)


def _fence(job: Job, reason: str, epoch: int = 0) -> None:
    with phase(job, "fence") as words:
        stake = fleet_of(job).fence(job.node_id, reason, epoch=epoch).at_stake
        words.append(f"its {stake.egresses} egresses are free for other nodes")


def _reinstall(job: Job, how: How) -> Access:
    host = how.replace_with or job.access.host
    with phase(job, "reinstall") as words:
        told = ""

        def line(text: str) -> None:
            job.report.line(job.node_id, "reinstall", "…", 0, text)

        if how.reinstall:
            told = run_hook(how.reinstall, job.node_id, host, how.wait_s, line)
        else:
            line(
                f"now reinstall {host} at its provider with Debian 12 or 13 and your ssh key; its "
                "new ssh host key, from the console there, goes " + _where_key_goes(job, how)
            )
        access = wait_bare(job, lambda: _ways(job, how, told), how.wait_s, line)
        words.append(f"bare Debian answers at {access.host}")
    return access


def _where_key_goes(job: Job, how: How) -> str:
    if how.host_key:
        return "with --host-key (given)"
    written = job.node.host_key
    return f"into {written}" if written.startswith("file:") else "into the inventory"


def _at(job: Job, access: Access) -> Job:
    """The same for the machine at `access`; its key stands where the inventory looks for it."""
    if access.host_key != key_as_written(job.node_id, job.options).host_key:
        file = write_key(job.node, access.host_key, job.options)
        if file:
            job.report.line(job.node_id, "host key", "written", 0, f"{file}: {access.host_key}")
    node = job.node.model_copy(update={"address": ip_address(access.host)})
    return replace(job, node=node, access=access, wish=job.options.wish(node, job.wish.release_id))


def _provision(job: Job) -> None:
    with Machine(job.access) as machine:
        answer = machine.run(f"date --utc > {REBUILDING}")
        if answer.status != 0:
            raise ProvisioningError(
                f"{job.node_id}: cannot write {REBUILDING}: {answer.stderr.strip()}; root (or sudo "
                "without a password) is needed"
            )
    bring_about(job)


def _open(job: Job, reason: str) -> str:
    """Open the node, and wait until it sends for its share; returns a sentence about it."""
    with phase(job, "open") as words:
        fleet_of(job).cordon(job.node_id, False)
        with Machine(job.access) as machine:
            machine.run(f"rm -f {REBUILDING}")
        words.append("it may have egresses again")
    with phase(job, "share") as words:
        words.append(await_share(fleet_of(job), job.node_id, reason, job.stopped))
    return words[0]


def _left_to_do(job: Job) -> list[str]:
    left = still_to_write(job.node_id, job.access, job.options)
    if fleet_of(job).node(job.node_id).address != job.access.host:
        left.append(f"then `postfleet fleet apply {job.options.inventory}`")
    if left:
        left.append(f"and see that `fab check --node {job.node_id}` finds no drift")
    return left


def _may_go_on(job: Job, where: str) -> None:
    if job.stopped():
        raise Interrupted(f"{job.node_id}: stopped {where}")


def _stays(job: Job) -> str:
    return (
        f"{job.node_id} stays cordoned: it gets no egress, others send for it. Run the same again "
        f"to go on, or open it as it is: `postfleet node uncordon {job.node_id}`"
    )


def fleet_of(job: Job) -> Fleet:
    """The controller; a rebuild is never without."""
    assert job.fleet is not None
    return job.fleet


@contextmanager
def phase(job: Job, name: str) -> Iterator[list[str]]:
    """One phase with its time; what it yields takes the words for its line."""
    job.report.doing(job.node_id, name)
    began = time.monotonic()
    words: list[str] = []
    yield words
    job.report.results[job.node_id].steps.append(name)
    job.report.line(job.node_id, name, "done", time.monotonic() - began, "; ".join(words))
