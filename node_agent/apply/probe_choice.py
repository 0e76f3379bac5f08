"""Which transports a new generation has to prove. Pure."""

from __future__ import annotations

from node_agent.apply.model import Egress, NodeSpec


def to_probe(before: NodeSpec | None, after: NodeSpec, same_templates: bool) -> list[str]:
    """Return the ids of egresses whose transport is new or changed, in the spec's order.

    `before` is the generation that ran, None for none. Mailboxes change no transport. What all
    transports share (templates, mail and gateway settings, the host's name) changes all of them.
    """
    if before is None or not same_templates or _shared(before) != _shared(after):
        return [egress.id for egress in after.egresses]
    known = {egress.id: _transport(egress) for egress in before.egresses}
    return [e.id for e in after.egresses if known.get(e.id) != _transport(e)]


def _shared(spec: NodeSpec) -> object:
    return spec.hostname, spec.mail, spec.gateway


def _transport(egress: Egress) -> Egress:
    return egress.model_copy(update={"mailboxes": ()})
