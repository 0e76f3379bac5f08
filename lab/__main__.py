"""`python -m lab`: bring a lab up, look at it, get a shell on a node, take it down.

    python -m lab up --name demo --nodes 8
    python -m lab status
    python -m lab shell n1                 # ssh, as to any VPS
    python -m lab console n1               # works also when the node's network is cut
    python -m lab reinstall n1             # a bare machine again; prints its new ssh host key
    python -m lab down                     # also after a crash; twice does no harm

Exit codes: 0 done; 1 it failed (message on stderr); 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lab.errors import LabError
from lab.lab import Lab
from lab.node import Node
from lab.settings import CHECKOUT, LabSettings
from lab.traces import directories

SSH = ("ssh", "-q", "-o", "UserKnownHostsFile={known_hosts}", "-o", "StrictHostKeyChecking=yes")


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = parser().parse_args(argv)
    if os.geteuid() != 0:
        print("lab: namespaces and mounts need root; run it as root", file=sys.stderr)
        return 1
    try:
        return int(arguments.command(arguments) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All commands with their help."""
    top = argparse.ArgumentParser(
        prog="lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, function: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("--name", default="demo", help="the lab's name (default: demo)")
        added.set_defaults(command=function)
        return added

    up_ = command("up", up, "make base images if needed, wire the network, boot bare nodes")
    up_.add_argument("--nodes", type=int, default=2, help="how many nodes (default: 2)")
    up_.add_argument("--proxies", type=int, default=0, help="how many SOCKS5 proxies (default: 0)")
    up_.add_argument("--services", action="store_true", help="start DNS and receivers too")
    command("down", down, "take everything away, also after a crash")
    command("status", status, "what is up")
    for name, function in (("shell", shell), ("console", console)):
        text = "ssh to a node" if name == "shell" else "a root shell that needs no network"
        added = command(name, function, text)
        added.add_argument("node")
        added.add_argument("words", nargs=argparse.REMAINDER, help="a command instead of a shell")
    text = "give a node a new disk with the bare image; print its ssh host key (a hook for rebuild)"
    command("reinstall", reinstall, text).add_argument("node")
    return top


def up(arguments: argparse.Namespace) -> None:
    """Bring a lab up with a progress bar for each long step."""
    settings = LabSettings(
        name=arguments.name,
        nodes=arguments.nodes,
        proxies=arguments.proxies,
        dns=arguments.services,
        receivers=arguments.services,
    )
    columns = (TextColumn("{task.description:<24}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn()) as progress:
        tasks = {r: progress.add_task(f"base image {r}", total=None) for r in settings.releases}
        boots = progress.add_task("nodes booted", total=settings.nodes)

        def image(release: str, done: int, steps: int) -> None:
            progress.update(tasks[release], completed=done, total=steps)

        Lab.up(settings, images=image, booted=lambda _: progress.advance(boots))
    status(arguments)


def down(arguments: argparse.Namespace) -> None:
    """Take it away and say so."""
    Lab.remove(arguments.name)
    print(f"lab {arguments.name}: nothing of it remains")


def status(_: argparse.Namespace) -> None:
    """One line for each lab, one for each of its nodes."""
    names = sorted(path.parent.name for path in CHECKOUT.glob(".lab/*/lab.json"))
    others = [found for found in directories() if CHECKOUT not in found.parents]
    if not names and not others:
        print("no lab is up")
    for name in names:
        lab = Lab.attach(name, with_services=False)
        title = f"lab {name}: controller side {lab.controller_address}, ssh key {lab.ssh_key}"
        table = Table("node", "release", "address", "power", title=title, title_justify="left")
        for node in lab.nodes.values():
            power = "on" if node.running else "off"
            table.add_row(node.id, node.release, str(node.address), power)
        Console().print(table)
    for directory in others:
        print(f"lab {directory.name}: another checkout's ({directory})")


def shell(arguments: argparse.Namespace) -> None:
    """Become an ssh to the node, its host key pinned."""
    lab = Lab.attach(arguments.name, with_services=False)
    node = _node(lab, arguments.node)
    known_hosts = lab.directory / "ssh" / "known_hosts"
    known_hosts.write_text("".join(f"{n.address} {n.host_key}\n" for n in lab.nodes.values()))
    ssh = [word.format(known_hosts=known_hosts) for word in SSH]
    os.execvp("ssh", [*ssh, "-i", str(lab.ssh_key), f"root@{node.address}", *arguments.words])


def console(arguments: argparse.Namespace) -> None:
    """Become a shell inside the node."""
    node = _node(Lab.attach(arguments.name, with_services=False), arguments.node)
    command = node.console_command(arguments.words or ["bash", "-l"])
    os.execvp(command[0], command)


def reinstall(arguments: argparse.Namespace) -> None:
    """Do what a provider's "rebuild" does and show the new key as its panel would."""
    lab = Lab.attach(arguments.name, with_services=False)
    node = _node(lab, arguments.node)
    lab.reinstall(node)
    print(f"{node.id} runs the bare image of {node.release}; its ssh host key, from the console:")
    print(node.host_key)


def _node(lab: Lab, name: str) -> Node:
    if name not in lab.nodes:
        raise LabError(f"lab {lab.name} has no node {name}; it has {', '.join(lab.nodes)}")
    return lab.nodes[name]


if __name__ == "__main__":
    sys.exit(main())
