"""How facts are found: each is one shell command and one parser. Nothing is changed by looking.

`script` joins all commands into one, so that a look at a node is one round trip; `read` turns its
output into `Facts`. Both are pure; a recorded output is all that a test needs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from provisioning.errors import ProvisioningError
from provisioning.facts import CertificateFact, Facts, PathFact, Question, UnitFact

_MARK = "@@postfleet-fact"


@dataclass(frozen=True)
class Fact:
    """One command (given what is asked) and the parser of what it prints."""

    command: Callable[[Question], str]
    parse: Callable[[str], object]


def _packages(text: str) -> dict[str, str]:
    """Package -> version, of those that are installed whole."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: row[2] for row in rows if len(row) == 3 and row[1] == "installed"}


def _words_of(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _paths(text: str) -> dict[str, PathFact]:
    found: dict[str, PathFact] = {}
    for line in text.splitlines():
        path, kind, owner, group, mode, target, digest = line.split("|")
        found[path] = PathFact(kind, owner, group, mode.zfill(4), target, digest)
    return found


def _units(text: str) -> dict[str, UnitFact]:
    found = {}
    for block in re.split(r"\n\s*\n", text.strip()):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in fields:
            found[fields["Id"]] = UnitFact(
                fields.get("LoadState", ""),
                fields.get("ActiveState", ""),
                fields.get("UnitFileState", ""),
                fields.get("ConditionResult") == "no"
                and fields.get("ConditionTimestampMonotonic", "0") != "0",
            )
    return found


def _certificate(text: str) -> CertificateFact:
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    uri = re.search(r"URI:(\S+?)(?:,|$)", fields.get("san", ""))
    key, own = fields.get("key", ""), fields.get("certificate", "")
    return CertificateFact(
        uri=uri.group(1) if uri else "",
        matches_key=bool(key) and key == own,
        from_ca=fields.get("ca") == "0",
        fresh=fields.get("fresh") == "0",
    )


def _number(text: str) -> int:
    digits = text.split()
    return int(digits[0]) if digits and digits[0].isdigit() else 0


def _stripped(text: str) -> str:
    return text.strip()


# No stat(1) format has the link's target alone; sha256sum would follow links out of the way.
_PATHS = r"""for p in {paths}; do
  [ -e "$p" ] || [ -L "$p" ] || continue
  t=$(readlink "$p" || true); d=
  [ -L "$p" ] || [ ! -f "$p" ] || d=$(sha256sum < "$p" | cut -d' ' -f1)
  printf '%s|%s|%s|%s\n' "$p" "$(stat -c '%F|%U|%G|%a' "$p")" "$t" "$d"
done"""

_CERTIFICATE = r"""t=/etc/postfleet/tls; [ -s $t/node.pem ] || exit 0
echo "san=$(openssl x509 -in $t/node.pem -noout -ext subjectAltName | tail -n1)"
echo "key=$(openssl pkey -in $t/node.key -pubout | sha256sum)"
echo "certificate=$(openssl x509 -in $t/node.pem -noout -pubkey | sha256sum)"
openssl verify -CAfile $t/ca.pem $t/node.pem > /dev/null; echo "ca=$?"
openssl x509 -in $t/node.pem -noout -checkend 2592000 > /dev/null; echo "fresh=$?" """

# As the agent's user: SQLite may make a -shm file, which must be the agent's.
_SPOOLED = r"""f=/var/lib/postfleet-agent/spool.db; [ -s $f ] || exit 0
runuser -u postfleet-agent -- python3 - $f <<'PY'
import sqlite3, sys
c = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
tables = {r[0] for r in c.execute("select name from sqlite_master where type = 'table'")}
q = "select count(*) from message where state in ('stored', 'handing', 'queued', 'uncertain')"
print(c.execute(q).fetchone()[0] if "message" in tables else 0)
PY"""

FACTS: dict[str, Fact] = {
    "distribution": Fact(lambda _: '. /etc/os-release; echo "$ID"', _stripped),
    "major": Fact(lambda _: '. /etc/os-release; echo "$VERSION_ID"', _stripped),
    "machine": Fact(lambda _: "uname -m", _stripped),
    "python": Fact(
        lambda _: "python3 -c 'import sys; print(*sys.version_info[:2], sep=\".\")'", _stripped
    ),
    "free_kib": Fact(lambda _: "df --output=avail / | tail -n1", _number),
    "packages": Fact(
        lambda q: (
            "dpkg-query -W -f '${Package} ${db:Status-Status} ${Version}\\n' " + _words(q.packages)
        ),
        _packages,
    ),
    "users": Fact(lambda q: f"getent passwd {_words(q.users)} | cut -d: -f1", _words_of),
    "paths": Fact(lambda q: _PATHS.replace("{paths}", _words(q.paths)), _paths),
    "units": Fact(
        lambda q: (
            "systemctl show --property=Id,LoadState,ActiveState,UnitFileState,"
            f"ConditionResult,ConditionTimestampMonotonic {_words(q.units)}"
        ),
        _units,
    ),
    "releases": Fact(
        lambda _: (
            "find /opt/postfleet -mindepth 2 -maxdepth 2 -name .complete -printf '%P\\n' "
            "| cut -d/ -f1"
        ),
        _words_of,
    ),
    "certificate": Fact(lambda _: _CERTIFICATE, _certificate),
    "queued": Fact(
        lambda _: (
            "cd /var/spool/postfix && find maildrop incoming active deferred hold corrupt "
            "-type f | wc -l"
        ),
        _number,
    ),
    "spooled": Fact(lambda _: _SPOOLED, _number),
}


def script(question: Question) -> str:
    """One shell script that prints every fact below its mark; it needs root and changes nothing."""
    parts = [
        f"echo '{_MARK} {name}'; (\n{fact.command(question)}\n) 2>/dev/null || true"
        for name, fact in FACTS.items()
    ]
    return "export LC_ALL=C\n" + "\n".join(parts) + f"\necho '{_MARK} end'\n"


def read(output: str) -> Facts:
    """Facts from what the script printed. Raises ProvisioningError when it was cut short."""
    sections: dict[str, str] = {}
    name = ""
    for line in output.splitlines(keepends=True):
        if line.startswith(_MARK):
            name = line.split()[1]
            sections[name] = ""
        elif name:
            sections[name] += line
    if "end" not in sections:
        raise ProvisioningError(
            f"the look at the node ended within fact {name or 'none'!r}; nothing was changed; "
            "run it again"
        )
    values = {name: fact.parse(sections[name]) for name, fact in FACTS.items()}
    return Facts(**values)  # type: ignore[arg-type]


def _words(items: Iterable[str]) -> str:
    return " ".join(shlex.quote(item) for item in items)
