"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.completion import (
    complete_client,
    complete_domain,
    complete_egress,
    complete_mailbox,
    complete_node,
)

Filter = Annotated[str, typer.Option("--filter", metavar="TEXT", help="Only ids that contain this")]
OfClient = Annotated[
    str,
    typer.Option(
        "--client", metavar="ID", help="Only of this client", autocompletion=complete_client
    ),
]
OnNode = Annotated[
    str,
    typer.Option("--node", metavar="ID", help="Only on this node", autocompletion=complete_node),
]
Limit = Annotated[
    int, typer.Option("--limit", min=0, metavar="N", help="At most so many rows; 0: all")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; for the audit log")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask")]
Wait = Annotated[
    bool, typer.Option("--wait/--no-wait", help="Look on until it is done; Ctrl-C ends only that")
]
Timeout = Annotated[
    float, typer.Option("--timeout", metavar="SECONDS", min=0, help="Look on so long; 0: for ever")
]
NodeId = Annotated[
    str, typer.Argument(metavar="NODE", help="Id of a node", autocompletion=complete_node)
]
EgressId = Annotated[
    str, typer.Argument(metavar="EGRESS", help="Id of an egress", autocompletion=complete_egress)
]
MailboxAddress = Annotated[
    str,
    typer.Argument(metavar="ADDRESS", help="Address of a mailbox", autocompletion=complete_mailbox),
]
DomainName = Annotated[
    str,
    typer.Argument(metavar="DOMAIN", help="A sending domain", autocompletion=complete_domain),
]
ClientId = Annotated[
    str, typer.Argument(metavar="CLIENT", help="Id of a client", autocompletion=complete_client)
]
