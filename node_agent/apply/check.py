"""Lets the programs that will read the staged files read them first.

`postfix check` accepts nonsense, so any word on stderr of postconf(1) rejects, and what postconf
understands must be exactly the parameters and services that the templates name: a value that became
a line of its own would show here. That a value makes sense is the model's to say, and that it works
the probe's.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from node_agent.apply.command import Outcome, run
from node_agent.apply.errors import CheckFailed
from node_agent.apply.layout import Layout
from node_agent.apply.model import AddressExit, NodeSpec

_PARAMETER = re.compile(r"^([A-Za-z0-9_-]+) *=", re.MULTILINE)
_SERVICE = re.compile(r"^([^\s#]\S*)", re.MULTILINE)


def check(directory: Path, like: Path | None, spec: NodeSpec, layout: Layout) -> None:
    """Raise CheckFailed unless every program accepts its file in `directory`.

    `like`: a proven generation of the same templates, None for none. What it has proven is not
    asked again: its keys, and what `postfix check` says about the machine (a hundred processes).
    """
    _check_postfix(directory / "postfix")
    if like is None:
        # Its warnings go to the mail log, so only its exit status can be judged.
        outcome = run("/usr/sbin/postfix", "-c", str(directory / "postfix"), "check")
        if not outcome.ok:
            raise _rejected(outcome)
    _check_opendkim(directory, layout)
    for key in spec.dkim_keys:
        name = Path("opendkim/keys") / key.domain
        if like is None or not _same_file(like / name, directory / name):
            _check_key(directory / name, key.domain)
    _check_own_addresses(spec)


def _check_postfix(directory: Path) -> None:
    parameters = _silent(run("/usr/sbin/postconf", "-c", str(directory), "-n"))
    services = _silent(run("/usr/sbin/postconf", "-c", str(directory), "-M"))
    # postconf adds config_directory because of -c.
    _same(
        "main.cf",
        set(_PARAMETER.findall((directory / "main.cf").read_text())),
        set(_PARAMETER.findall(parameters.stdout)) - {"config_directory"},
    )
    _same(
        "master.cf",
        set(_SERVICE.findall((directory / "master.cf").read_text())),
        set(_SERVICE.findall(services.stdout)),
    )


def _check_opendkim(directory: Path, layout: Layout) -> None:
    # opendkim opens the tables; those of this generation are not at their final path yet.
    conf = (directory / "opendkim/opendkim.conf").read_text()
    here = conf.replace(f"file:{layout.current}/", f"file:{directory}/")
    _silent(run("/usr/sbin/opendkim", "-n", "-x", "/dev/stdin", stdin=here))


def _same(file: str, written: set[str], understood: set[str]) -> None:
    if written != understood:
        raise CheckFailed(
            f"{file}: Postfix understands other names than were written: "
            f"{', '.join(sorted(written ^ understood))}; nothing was touched"
        )


def _same_file(one: Path, other: Path) -> bool:
    return one.is_file() and one.read_bytes() == other.read_bytes()


def _check_key(path: Path, domain: str) -> None:
    # Not `openssl rsa -check`: it says "RSA key not ok" and exits with 0.
    outcome = run("/usr/bin/openssl", "pkey", "-in", str(path), "-check", "-noout")
    if not outcome.ok:
        raise CheckFailed(
            f"the DKIM key of {domain} is no working RSA key (openssl pkey -check); "
            "nothing was touched"
        )


def _check_own_addresses(spec: NodeSpec) -> None:
    for egress in spec.egresses:
        if not isinstance(egress.exit, AddressExit):
            continue
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                sock.bind((str(egress.exit.address), 0))
        except OSError as error:
            raise CheckFailed(
                f"egress {egress.id} leaves from {egress.exit.address}, which is no address of "
                f"this node ({error.strerror}); nothing was touched"
            ) from error


def _silent(outcome: Outcome) -> Outcome:
    if not outcome.ok or outcome.stderr.strip():
        raise _rejected(outcome)
    return outcome


def _rejected(outcome: Outcome) -> CheckFailed:
    return CheckFailed(f"rejected by {outcome}; nothing was touched")
