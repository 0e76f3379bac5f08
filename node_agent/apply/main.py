"""postfleet-apply: one request, one answer, as root.

    postfleet-apply         an ApplyRequest on stdin (a unix socket), the ApplyReply on stdout
    postfleet-apply --net   closes the SMTP ports and makes surrogate addresses local (at boot)
    postfleet-apply --boot  makes the files of the applied generation whole (at boot)
    postfleet-apply --guard starting|ended   holds what Postfix may have been delivering (guard.py)

Runs that apply or restore a spec wait for each other. A queue command waits for nobody: a hold must
come before Postfix tries again. It opens no network connection but to Postfix's intake on loopback,
reads no configuration but agent.toml's node_id, and keeps nothing in memory. Exit status: 0 when a
reply was written (also "could not"), 1 otherwise. Its log is JSON on stderr, without secrets.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.message import DecodeError
from postfleet.v1 import local_pb2, spec_pb2

from node_agent.apply import request
from node_agent.apply.errors import ApplyError, ValidationFailed
from node_agent.apply.generation import read_message
from node_agent.apply.layout import Layout
from node_agent.apply.log import log
from node_agent.apply.queue_command import run_queue_command

# What a queue command has no use for is imported where it is used: recalls come by the second while
# a receiver takes less than before, and each of them is a process.


def main() -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(prog="postfleet-apply", description=__doc__.split("\n\n")[0])
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--net", action="store_true", help="close the SMTP ports (at boot)")
    mode.add_argument("--boot", action="store_true", help="make the applied generation whole")
    mode.add_argument(
        "--guard", choices=("starting", "ended"), help="Postfix is about to start, or has ended"
    )
    arguments = parser.parse_args()
    os.umask(0o022)
    layout = Layout()
    if arguments.net or arguments.boot:
        _at_boot(layout, net=arguments.net)
    elif arguments.guard:
        _guard(layout, has_ended=arguments.guard == "ended")
    else:
        request.answer(_serve(layout))


def _at_boot(layout: Layout, *, net: bool) -> None:
    from node_agent.apply import boot

    try:
        if net:
            log().info(boot.establish_network(layout))
        else:
            with _alone(layout):
                log().info(boot.restore(layout))
    except ApplyError as error:
        log().error("not ready for Postfix", error=str(error))
        sys.exit(1)


def _guard(layout: Layout, *, has_ended: bool) -> None:
    from node_agent.apply.guard import guard

    # Not alone: a run that restarts Postfix waits for this.
    try:
        log().info(guard(layout, has_ended=has_ended))
    except ApplyError as error:
        log().error("not ready for Postfix", error=str(error))
        sys.exit(1)


def _serve(layout: Layout) -> local_pb2.ApplyReply:
    reply = local_pb2.ApplyReply()
    try:
        request.check_peer()
        asked = request.read_request()
        _do(asked, layout, reply)
    except ApplyError as error:
        reply.stage, reply.error = error.stage, str(error)
        log().warning("not done", stage=error.stage, error=str(error))
    except Exception as error:
        # A bug. The journal, if there is one, lets the next run go back.
        reply.stage = ApplyError.stage
        reply.error = (
            f"postfleet-apply failed unexpectedly ({type(error).__name__}); see its journal"
        )
        log().exception("unexpected")
    return reply


def _do(asked: local_pb2.ApplyRequest, layout: Layout, reply: local_pb2.ApplyReply) -> None:
    """Carry the request out; the reply then says what the node runs and whether it changed."""
    match asked.WhichOneof("body"):
        case "spec":
            with _alone(layout):
                try:
                    reply.unchanged = not _apply(asked.spec, layout)
                finally:
                    reply.running_generation = _running(layout)
        case "queue":
            try:
                run_queue_command(asked.queue)
            finally:
                reply.running_generation = _running(layout)
        case _:
            raise ValidationFailed("the request asks for nothing")


def _apply(spec: spec_pb2.NodeSpec, layout: Layout) -> bool:
    """Go back where the run before was interrupted, then apply; False: nothing was to be done."""
    from node_agent.apply import swap
    from node_agent.apply.apply_spec import apply_spec, go_back

    unproven = swap.interrupted(layout)
    if unproven is not None:
        log().warning("the run before was interrupted; going back", swap=vars(unproven))
        go_back(unproven, layout)
    if layout.generations.is_dir():
        swap.tidy(layout)
    return apply_spec(spec, _own_node_id(layout), layout)


def _running(layout: Layout) -> int:
    """Return the generation that is in place; 0: none, or none that can be read."""
    try:
        return read_message(layout.home).generation
    except (OSError, DecodeError):
        return 0


def _own_node_id(layout: Layout) -> str | None:
    """Return this node's id from agent.toml; None before provisioning wrote one."""
    try:
        return str(tomllib.loads(layout.agent_config.read_text())["node_id"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise ValidationFailed(f"{layout.agent_config} names no node_id: {error}") from error


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    """Wait until no other run is at work; held until the process ends or the block does."""
    descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
