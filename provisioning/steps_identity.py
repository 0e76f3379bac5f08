"""The node's identity: a key made on the node, which never leaves it, and a certificate. Pure.

A new certificate is ordered when there is none, when it does not fit its key, its CA or this node's
name, or when it has less than 30 days left. The key is kept as long as it exists.
"""

from __future__ import annotations

from provisioning.actions import Enrol, Script, Step
from provisioning.facts import Facts
from provisioning.wish import CA, CERTIFICATE, KEY, Wish

_AGENT_GROUP = "postfleet-agent"

_KEY = f"""
umask 077
if [ ! -s {KEY} ]; then
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out {KEY}.new
  mv {KEY}.new {KEY}
fi
chown root:{_AGENT_GROUP} {KEY}
chmod 0640 {KEY}
"""

CSR = f"openssl req -new -key {KEY} -subj /CN={{node_id}}"
"""The shell command that prints a CSR (PEM) by the node's key; the CA takes the name from the
inventory, not from the request."""


def certificate(facts: Facts, wish: Wish) -> Step | None:
    """Make the key if there is none and have a certificate signed, where one is needed."""
    why = tuple(_reasons(facts, wish))
    if not why:
        return None
    return Step(
        "certificate",
        why,
        (Script(_KEY), Enrol(wish.node_id)),
        "see that the controller runs and that the inventory is applied there",
    )


def _reasons(facts: Facts, wish: Wish) -> list[str]:
    key, has = facts.paths.get(KEY), facts.certificate
    if key is None:
        return [f"{KEY} is missing"]
    if (key.owner, key.group, key.mode) != ("root", _AGENT_GROUP, "0640"):
        return [f"{KEY} is {key.owner}:{key.group} {key.mode}"]
    if CERTIFICATE not in facts.paths or CA not in facts.paths:
        return ["there is no certificate yet"]
    checks = {
        f"the certificate is for {has.uri or 'nobody'}": has.uri == wish.certificate_uri,
        "the certificate is not for this key": has.matches_key,
        "the certificate is not of this CA": has.from_ca,
        "the certificate has less than 30 days left": has.fresh,
    }
    return [words for words, good in checks.items() if not good]
