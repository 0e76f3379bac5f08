"""The machine itself: no open mail server, Debian's packages, users, directories, files. Pure."""

from __future__ import annotations

from provisioning.actions import Script, Step, WriteFiles
from provisioning.facts import Facts
from provisioning.wish import MAIN_CF, FileWish, Wish

LOG = "/var/log/postfleet-provisioning.log"

# Debian's own configuration would make Postfix listen on all addresses and send by itself.
_CLOSE = f"""
systemctl disable --now postfix.service 2>/dev/null || true
mv -f {MAIN_CF} {MAIN_CF}.before-postfleet
"""

# Nothing is started while packages come (policy-rc.d), so systemd need not read its units again
# after each of them (SYSTEMD_OFFLINE); it does once, when our own files are there.
# Long, and never to be cut in the middle: its words go to a file, so the end of our connection
# cannot end it (SIGPIPE); if an earlier run was cut all the same, dpkg is brought to an end first.
_PACKAGES = r"""
trap '' HUP
exec 3>&2 >>{log} 2>&1
policy=/usr/sbin/policy-rc.d
finish() {{
  status=$?
  grep -qs postfleet $policy && rm -f $policy
  [ $status = 0 ] || tail -n 25 {log} >&3
  exit $status
}}
trap finish EXIT
if [ ! -e $policy ]; then
  printf '#!/bin/sh\n# postfleet provisioning\nexit 101\n' > $policy
  chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l SYSTEMD_OFFLINE=1
waited_s=0
until said=$(dpkg --configure -a 2>&1); do
  # a fresh machine may be upgrading itself; anything else than its lock is an error
  case $said in *lock*) [ $waited_s -lt 300 ] ;; *) false ;; esac || {{ echo "$said"; exit 1; }}
  waited_s=$((waited_s + 5))
  sleep 5
done
echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
apt="apt-get -q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3"
apt="$apt -o Acquire::Languages=none -o Dpkg::Options::=--force-confold"
$apt update
$apt install --no-install-recommends {packages}
"""


def close_mail(facts: Facts) -> Step | None:
    """A Postfix that is set up by other hands is stopped, its main.cf kept under another name."""
    main_cf = facts.paths.get(MAIN_CF)
    if main_cf is None or main_cf.kind == "symbolic link":
        return None
    return Step(
        "close",
        (f"{MAIN_CF} is not postfleet's; it is kept as {MAIN_CF}.before-postfleet",),
        (Script(_CLOSE),),
        "stop Postfix on the node by hand",
    )


def packages(facts: Facts, wish: Wish) -> Step | None:
    """Install what is missing; nothing is started by it."""
    missing = [name for name in wish.packages if name not in facts.packages]
    if not missing:
        return None
    text = _PACKAGES.format(log=LOG, packages=" ".join(missing))
    why = (f"not installed: {', '.join(missing)}",)
    remedy = f"see {LOG} on the node; run it again, dpkg is brought to an end first"
    return Step("packages", why, (Script(text),), remedy)


def changed_files(facts: Facts, wish: Wish) -> tuple[FileWish, ...]:
    """The files that are missing or differ in content, owner or mode."""
    return tuple(file for file in wish.files if _file_differs(facts, file))


def files(facts: Facts, wish: Wish, changed: tuple[FileWish, ...]) -> Step | None:
    """Users, directories and files; systemd's own tools make users and directories."""
    users = [name for name in wish.users if name not in facts.users]
    wrong = [
        wanted.path
        for wanted in wish.directories
        if (found := facts.paths.get(wanted.path)) is None
        or (found.owner, found.group, found.mode) != (wanted.owner, wanted.group, wanted.mode)
    ]
    why = tuple(f"user {name} is missing" for name in users)
    why += tuple(_path_words(facts, path) for path in wrong)
    why += tuple(_path_words(facts, file.path) for file in changed)
    if not why:
        return None
    make = "systemd-sysusers postfleet.conf\nsystemd-tmpfiles --create postfleet.conf\n"
    actions = (WriteFiles(changed), Script(make)) if changed else (Script(make),)
    return Step("files", why, actions, "look at the named file on the node")


def _file_differs(facts: Facts, file: FileWish) -> bool:
    found = facts.paths.get(file.path)
    return found is None or (found.sha256, found.owner, found.group, found.mode) != (
        file.sha256,
        "root",
        "root",
        file.mode,
    )


def _path_words(facts: Facts, path: str) -> str:
    return f"{path} {'differs' if path in facts.paths else 'is missing'}"
