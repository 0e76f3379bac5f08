"""postfleet message: mail."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from controller.cli.command import Session, add
from controller.cli.completion import complete_client, complete_mailbox
from controller.cli.options import DryRun, Limit, OfClient, OnNode, Reason

group = typer.Typer(help="Mail: submit it, look at it, cancel it.", no_args_is_help=True)


class Format(StrEnum):
    """What an input is."""

    EML = "eml"
    MBOX = "mbox"
    JSONL = "jsonl"


MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="Id of a message")]


@add(
    group,
    "submit",
    examples=(
        "postfleet message submit --client harbor --input letters/",
        "postfleet message submit --client harbor --to reader@google.test < letter.eml",
        "postfleet message submit --input batch.jsonl --json > results.jsonl",
        "postfleet message submit --client harbor --input letters/ --again november",
    ),
)
def submit(
    session: Session,
    input: Annotated[
        str,
        typer.Option(
            "--input",
            metavar="PATH",
            help="Folder of .eml, .mbox and .jsonl files, or one of these; -: standard input",
        ),
    ] = "-",
    client: Annotated[
        str,
        typer.Option(
            "--client",
            metavar="ID",
            help="Whose mail it is [the input's client]",
            autocompletion=complete_client,
        ),
    ] = "",
    mailbox: Annotated[
        str,
        typer.Option(
            "--mailbox",
            metavar="ADDRESS",
            help="Who sends it [the address in From:, else the planner chooses]",
            autocompletion=complete_mailbox,
        ),
    ] = "",
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="ADDRESS", help="Recipient [those in To: and Cc:]; repeatable"
        ),
    ] = None,
    not_before: Annotated[
        str,
        typer.Option("--not-before", metavar="TIME", help="As 2026-11-01T09:00:00+01:00 [at once]"),
    ] = "",
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="What the input is: eml, mbox or jsonl [by name or first octets]",
        ),
    ] = None,
    again: Annotated[
        str,
        typer.Option(
            "--again", metavar="WORD", help="Submit what was submitted before once more, on purpose"
        ),
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Submit messages. Each recipient of each message gets one message of their own.

    Where the input gives no idempotency_key, keys are derived from client, mailbox, recipient,
    time and content: after Ctrl-C or an error, run the same command again; what was accepted
    before is not accepted twice. With --json each result is one line of JSON.
    """
    from controller.cli.outgoing import Choices
    from controller.cli.submit import submit as run

    choices = Choices(client, mailbox, tuple(to or ()), _time(not_before), again)
    run(session, input, format.value if format else "", choices, dry_run)


def _time(text: str) -> datetime | None:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    if not text:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        words = f"--not-before {text}: a time with its offset, such as 2026-11-01T09:00:00+01:00"
        raise Failure(Exit.USAGE, words)
    return time


@add(
    group,
    "list",
    examples=(
        "postfleet message list",
        "postfleet message list --state bounced --limit 0",
        "postfleet message list --recipient reader@google.test --json",
    ),
)
def list_(
    session: Session,
    state: Annotated[
        str, typer.Option("--state", metavar="STATE", help="Only in this state, such as sent")
    ] = "",
    client: OfClient = "",
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="ADDRESS", help="Only from this mailbox")
    ] = "",
    recipient: Annotated[
        str, typer.Option("--recipient", metavar="ADDRESS", help="Only to this recipient")
    ] = "",
    node: OnNode = "",
    limit: Limit = 50,
) -> None:
    """List messages, the newest first."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import connected
    from controller.cli.message_views import print_messages
    from controller.cli.output import as_data, print_json

    request = fleet_pb2.ListMessagesRequest(
        state=state,
        client_id=client,
        mailbox=mailbox,
        recipient=recipient,
        node_id=node,
        newest_first=True,
    )
    with connected(session) as connection:
        messages = list(connection.pages("ListMessages", request, "messages", limit))
    if session.json:
        print_json([as_data(each) for each in messages])
    else:
        print_messages(messages)


@add(group, "show", examples=("postfleet message show 06fkq2l8m0000000000000000",))
def show(session: Session, message: MessageId) -> None:
    """Show one message and all that happened to it."""
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import asking
    from controller.cli.message_views import print_message
    from controller.cli.output import as_data, print_json

    detail = asking(session, "GetMessage", fleet_pb2.GetMessageRequest(id=message))
    if session.json:
        print_json(as_data(detail))
    else:
        print_message(detail)


@add(
    group,
    "resolve",
    examples=(
        "postfleet message resolve 06fkq2l8m0000000000000000 --sent --reason 'she answered it'",
        "postfleet message resolve 06fkq2l8m0000000000000000 --resend --dry-run",
        "postfleet message resolve 06fkq2l8m0000000000000000 --cancel",
    ),
)
def resolve(
    session: Session,
    message: MessageId,
    sent: Annotated[bool, typer.Option("--sent", help="The recipient has it")] = False,
    resend: Annotated[
        bool, typer.Option("--resend", help="Send it, maybe for the second time")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="Let it rest")] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
) -> None:
    """Decide about an uncertain message: one that may have been sent, and nobody can know.

    Say one of --sent, --resend and --cancel. Its queue file on the node is deleted; only after that
    it is sent again.
    """
    from postfleet.v1 import fleet_pb2

    from controller.cli.connection import asking
    from controller.cli.message_views import print_resolved
    from controller.cli.output import as_data, print_json

    said = {"SENT": sent, "RESEND": resend, "CANCEL": cancel}
    request = fleet_pb2.ResolveMessageRequest(
        id=message,
        resolution=fleet_pb2.Resolution.Value(f"RESOLUTION_{_one_of(said)}"),
        reason=reason,
        dry_run=dry_run,
    )
    reply = asking(session, "ResolveMessage", request)
    if session.json:
        print_json(as_data(reply))
    else:
        print_resolved(reply, dry_run)


def _one_of(said: dict[str, bool]) -> str:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure

    words = [word for word, is_said in said.items() if is_said]
    if len(words) != 1:
        raise Failure(Exit.USAGE, "say exactly one of --sent, --resend and --cancel")
    return words[0]


@add(
    group,
    "watch",
    examples=(
        "postfleet message watch",
        "postfleet message watch 06fkq2l8m0000000000000000 --timeout 60",
    ),
)
def watch(
    session: Session,
    messages: Annotated[
        list[str] | None, typer.Argument(metavar="[MESSAGE]...", help="Ids [all messages]")
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            "--timeout", metavar="SECONDS", min=0, help="End with 1 after so long; 0: never"
        ),
    ] = 0,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", min=0.1, help="How often to look")
    ] = 1.0,
) -> None:
    """Watch messages until all of them are final; without ids, all messages of the fleet."""
    from controller.cli.watching import watch as run

    run(session, messages or [], timeout, every)


@add(
    group,
    "cancel",
    examples=(
        "postfleet message cancel 06fkq2l8m0000000000000000 --reason 'wrong list'",
        "postfleet message list --state scheduled --json | jq -r .[].id"
        " | xargs postfleet message cancel --dry-run",
    ),
)
def cancel(
    session: Session,
    messages: Annotated[list[str], typer.Argument(metavar="MESSAGE...", help="Ids of messages")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; goes to the audit log")
    ] = "",
    dry_run: DryRun = False,
) -> None:
    """Stop messages that were not sent, wherever they are.

    What no node has is cancelled at once. What a node has, also in its Postfix's queue, is asked
    back, which takes seconds (outcome `asked`; `message watch` shows how it ends); what is being
    delivered just then may still go out. Exit code 1 where a message has ended already.
    """
    from controller.cli.cancelling import cancel as run

    run(session, messages, reason, dry_run)
