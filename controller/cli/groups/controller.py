"""postfleet controller: run one, and make credentials where its state is."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from controller.cli.command import Session, add

if TYPE_CHECKING:
    from controller.serving.settings import Endpoint

group = typer.Typer(help="Run a controller.", no_args_is_help=True)


class Kind(StrEnum):
    """Who may get credentials here; nodes enrol."""

    OPERATOR = "operator"
    CLIENT = "client"


StateDir = Annotated[
    Path, typer.Option("--state-dir", metavar="DIR", help="Keys, CA and the embedded PostgreSQL")
]


@add(
    group,
    "run",
    connects=False,
    examples=(
        "postfleet controller run --state-dir /var/lib/postfleet --listen 0.0.0.0:7443 \\",
        "    --metrics 127.0.0.1:9600 --probe-echo 0.0.0.0:7444",
        "postfleet controller run --state-dir /var/lib/postfleet --listen 0.0.0.0:7443 \\",
        "    --dsn 'host=db.example dbname=postfleet user=postfleet'",
    ),
)
def run(
    session: Session,  # noqa: ARG001
    state_dir: StateDir,
    listen: Annotated[
        str, typer.Option("--listen", metavar="HOST:PORT", help="Where nodes and operators call")
    ] = "127.0.0.1:7443",
    metrics: Annotated[
        str, typer.Option("--metrics", metavar="HOST:PORT", help="Prometheus metrics [none]")
    ] = "",
    probe_echo: Annotated[
        str,
        typer.Option(
            "--probe-echo", metavar="HOST:PORT", help="Tells callers their own address [none]"
        ),
    ] = "",
    dsn: Annotated[
        str,
        typer.Option("--dsn", metavar="DSN", help="PostgreSQL to use in place of an embedded one"),
    ] = "",
    name: Annotated[
        list[str] | None,
        typer.Option(
            "--name", metavar="NAME", help="A further DNS name or address of it; repeatable"
        ),
    ] = None,
    join_grace: Annotated[
        float,
        typer.Option(
            "--join-grace", metavar="SECONDS", min=0, help="How long new nodes are counted on"
        ),
    ] = 600.0,
    shaping: Annotated[
        Path | None,
        typer.Option(
            "--shaping", metavar="FILE", help="Shaping rules, asked before the shipped ones"
        ),
    ] = None,
    providers: Annotated[
        Path | None,
        typer.Option(
            "--providers", metavar="FILE", help="MX hosts and their providers, over the shipped"
        ),
    ] = None,
    dns: Annotated[
        list[str] | None,
        typer.Option(
            "--dns",
            metavar="HOST:PORT",
            help="A resolver to ask for MX hosts in place of the system's; repeatable",
        ),
    ] = None,
) -> None:
    """Run a controller until SIGTERM or Ctrl-C.

    At its first start it makes keys, the fleet's CA, a database, and the first operator's
    credentials in STATE_DIR/operator. Several controllers may use one database; one of them is
    elected to run the loops. Logs go to standard error, one JSON object a line.
    """
    from controller.cli.exits import Exit
    from controller.main import serve
    from controller.serving.settings import RunSettings

    code = serve(
        RunSettings(
            state_dir=state_dir,
            listen=_endpoint("--listen", listen),
            metrics=_endpoint("--metrics", metrics) if metrics else None,
            probe_echo=_endpoint("--probe-echo", probe_echo) if probe_echo else None,
            dsn=dsn or None,
            names=tuple(name or ()),
            join_grace_s=join_grace,
            shaping=shaping,
            providers=providers,
            dns=tuple(_endpoint("--dns", each) for each in dns or ()),
        )
    )
    if code:
        raise typer.Exit(Exit.REFUSED)


@add(
    group,
    "credentials",
    connects=False,
    examples=(
        "postfleet controller credentials operator alice --state-dir /var/lib/postfleet "
        "--out ./alice",
        "postfleet controller credentials client harbor --state-dir /var/lib/postfleet "
        "--out ./harbor",
    ),
)
def credentials(
    session: Session,
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="operator or client")],
    id_: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the operator, id of the client")
    ],
    state_dir: StateDir,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write; must be new")],
) -> None:
    """Make credentials for a further operator or for a client's tools.

    Runs where the controller's state is, because the fleet's CA signs. An operator may order
    everything; a client may submit mail of its own, and see and change what is suppressed for it.
    """
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.cli.output import print_json
    from controller.keys.authority import open_fleet_ca
    from controller.keys.credentials import write_credentials
    from controller.keys.errors import KeysError
    from controller.keys.identity import Kind as Identity

    if not (state_dir / "ca").is_dir():
        words = f"{state_dir} is not a controller's state directory: it has no ca in it"
        raise Failure(Exit.NOT_FOUND, words)
    if out.exists():
        raise Failure(Exit.REFUSED, f"{out} exists already; nothing was written")
    try:
        write_credentials(open_fleet_ca(state_dir), out, Identity(kind.value), id_)
    except (KeysError, OSError, ValueError) as error:
        raise Failure(Exit.REFUSED, f"no credentials for {kind.value} {id_}: {error}") from None
    if session.json:
        print_json({"kind": kind.value, "id": id_, "folder": str(out)})
    else:
        print(f"credentials of {kind.value} {id_} are in {out}; key.pem is secret")


def _endpoint(option: str, text: str) -> Endpoint:
    from controller.cli.exits import Exit
    from controller.cli.failure import Failure
    from controller.serving.settings import Endpoint

    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise Failure(Exit.USAGE, f"{option}: {error}") from None
