"""What stops the gateway, or a request to it. A connection that cannot be made is no error: it is a
refusal (node_agent.gateway.admission), told to Postfix in the greeting."""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway could not do what it was told."""


class ConfigError(GatewayError):
    """The configuration cannot be used; at a reload the previous one stays in force."""


class LeaseError(GatewayError):
    """A lease that must not replace the one held: stale, or not a lease. Do not retry."""


class HandoverError(GatewayError):
    """What an earlier gateway left behind cannot be read; its connections are cut."""
