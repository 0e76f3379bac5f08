"""Carries out what comes over the control socket, on the gate. No sockets here."""

from __future__ import annotations

from postfleet.v1 import local_pb2

from node_agent.gateway import lease
from node_agent.gateway.clock import boottime_ns
from node_agent.gateway.errors import GatewayError
from node_agent.gateway.gate import Gate
from node_agent.gateway.tally import EgressTally
from node_agent.gateway.version import version


class Orders:
    """What agent and apply may tell the gate. Every reply carries the state after the request."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        # Why the configuration file read last is not in force; set by whoever reads it.
        self.config_error = ""

    def carry_out(self, request: local_pb2.GatewayRequest) -> local_pb2.GatewayReply:
        """Do it. A request that is refused changes nothing; the reply's `error` says why."""
        error = ""
        try:
            self._do(request)
        except GatewayError as refusal:
            error = str(refusal)
        reply = local_pb2.GatewayReply(error=error, status=self.status())
        if request.WhichOneof("body") == "at_risk":
            for egress_id, risk in self._gate.at_risk(request.at_risk.since_ns).items():
                reply.at_risk.add(
                    egress_id=egress_id,
                    connections=risk.connections,
                    most_octets_out=risk.most_octets,
                )
        return reply

    def status(self) -> local_pb2.GatewayStatus:
        """Return the state: an entry for each configured egress and each that is still open."""
        rules, tally = self._gate.rules, self._gate.tally
        open_connections = self._gate.open_connections()
        known = {egress.id for egress in rules.config.egresses}
        status = local_pb2.GatewayStatus(
            version=version(),
            epoch=rules.lease.epoch,
            config_generation=rules.config.generation,
            config_error=self.config_error,
        )
        for egress_id in sorted(known | open_connections.keys()):
            counts = tally.egresses.get(egress_id, EgressTally())
            status.egresses.add(
                egress_id=egress_id,
                open_connections=open_connections[egress_id],
                closed=egress_id in rules.lease.closed,
                connected=counts.connected,
                refused=counts.refused,
                last_probe=counts.last_probe,
            )
        return status

    def _do(self, request: local_pb2.GatewayRequest) -> None:
        gate = self._gate
        match request.WhichOneof("body"):
            case "lease":
                asked = request.lease
                gate.hold(
                    lease.grant(
                        gate.rules.lease,
                        asked.epoch,
                        asked.trusted_until_ns,
                        asked.expires_at_ns,
                        asked.egress_ids,
                        boottime_ns(),
                    )
                )
            case "suspensions":
                gate.suspend(
                    {item.egress_id: item.reason for item in request.suspensions.suspensions}
                )
            case "close":
                gate.close(request.close.egress_ids)
            case "status" | "at_risk":
                pass
            case _:
                raise GatewayError("the request asks for nothing this version knows")
