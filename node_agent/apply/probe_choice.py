"""Which transports a new generation has to prove. Pure."""

from __future__ import annotations

from node_agent.apply.model import Egress, NodeSpec


def to_probe(before: NodeSpec | None, after: NodeSpec, same_templates: bool) -> list[str]:
    """Return the ids of egresses whose transport has to be proven, in the spec's order.

    `before` is the generation that ran, None for none. Those that are new or changed; mailboxes
    change no transport. Where other settings are shared by all (mail, gateway, the host's name) but
    the same templates put them there, one of each kind of exit proves them for the others.
    """
    if before is None or not same_templates:
        return [egress.id for egress in after.egresses]
    known = {egress.id: _transport(egress) for egress in before.egresses}
    wanted = {e.id: e for e in after.egresses if known.get(e.id) != _transport(e)}
    if _shared(before) != _shared(after):
        proven = {egress.exit.kind for egress in wanted.values()}
        for egress in after.egresses:
            if egress.exit.kind not in proven:
                proven.add(egress.exit.kind)
                wanted[egress.id] = egress
    return [egress.id for egress in after.egresses if egress.id in wanted]


def _shared(spec: NodeSpec) -> object:
    return spec.hostname, spec.mail, spec.gateway


def _transport(egress: Egress) -> Egress:
    return egress.model_copy(update={"mailboxes": ()})
