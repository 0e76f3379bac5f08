"""The rows that an inventory wants. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from controller.fleet.rows import (
    ClientRow,
    DomainRow,
    EgressRow,
    FleetRows,
    MailboxRow,
    NodeRow,
    Secret,
    SettingsRow,
)
from inventory.schema import Egress, Inventory
from inventory.secrets import host_key


def wanted_rows(inventory: Inventory, secrets: Mapping[str, str]) -> FleetRows:
    """`secrets`: reference -> value, for every reference of the inventory."""
    fleet = inventory.fleet
    zones = {client.id: client.time_zone or fleet.time_zone for client in inventory.clients}
    return FleetRows(
        fleet=SettingsRow(fleet.model_dump(mode="json")),
        clients={
            client.id: ClientRow(
                client.id,
                client.name,
                client.unsubscribe_url,
                client.unsubscribe_mailto,
                client.priority,
                zones[client.id],
                list(fleet.pacing.windows if client.windows is None else client.windows),
                fleet.limits.client_per_day if client.per_day is None else client.per_day,
            )
            for client in inventory.clients
        },
        domains={
            domain.name: DomainRow(
                domain.name,
                domain.client,
                domain.dkim_selector,
                domain.dmarc_policy,
                domain.time_zone or zones[domain.client],
            )
            for domain in inventory.domains
        },
        egresses={egress.id: _egress(egress, secrets) for egress in inventory.egresses},
        mailboxes={row.address: row for row in _mailboxes(inventory)},
        nodes={
            node.id: NodeRow(
                node.id,
                str(node.address),
                node.hostname,
                node.ssh_port,
                node.ssh_user,
                host_key(node.host_key, secrets),
                node.capacity,
                node.failure_domain,
                node.region,
                node.monthly_cost_eur,
            )
            for node in inventory.nodes
        },
    )


def _mailboxes(inventory: Inventory) -> list[MailboxRow]:
    return [
        MailboxRow(
            f"{mailbox.local_part}@{domain.name}",
            domain.name,
            domain.client,
            mailbox.egress,
            mailbox.name,
            mailbox.warming,
        )
        for domain in inventory.domains
        for mailbox in domain.mailboxes
    ]


def _egress(egress: Egress, secrets: Mapping[str, str]) -> EgressRow:
    exit_ = egress.exit
    proxy = exit_ if exit_.kind == "socks5" else None
    return EgressRow(
        id=egress.id,
        client_id=egress.client,
        public_ip=str(egress.public_ip),
        helo_name=egress.helo_name,
        region=egress.region,
        kind=exit_.kind,
        host=proxy.host if proxy else None,
        port=proxy.port if proxy else None,
        username=proxy.username if proxy else None,
        password=Secret(secrets[proxy.password]) if proxy else None,
        only_node=None if exit_.kind == "socks5" else exit_.node,
        warming=egress.warming,
    )
