"""The connection to the controller: an mTLS channel as an operator, and its errors as Failures.

The controller's certificate always names `postfleet-controller`, so any address that reaches it
will do; which controller it is, the fleet's CA says.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from postfleet.v1 import (
    campaign_pb2_grpc,
    feedback_pb2_grpc,
    fleet_pb2_grpc,
    forecast_pb2_grpc,
    health_pb2_grpc,
    shaping_pb2_grpc,
    submission_pb2_grpc,
    suppression_pb2_grpc,
)

from controller.cli.command import Session
from controller.cli.exits import Exit
from controller.cli.failure import Failure

_SERVER_NAME = "postfleet-controller"
_OPTIONS = [
    ("grpc.ssl_target_name_override", _SERVER_NAME),
    ("grpc.default_authority", _SERVER_NAME),
    ("grpc.max_receive_message_length", 256 << 20),
    ("grpc.max_send_message_length", -1),
]
# Answers to questions come at once; an apply makes keys for every new domain.
ASK_TIMEOUT_S = 60.0
APPLY_TIMEOUT_S = 3600.0
_PAGE = 5000


class Connection:
    """Calls the controller; every error of a call is raised as a Failure."""

    def __init__(self, session: Session, channel: grpc.Channel) -> None:
        self._session = session
        # Names of methods are the services' own: none stands in two of them.
        self.campaign = campaign_pb2_grpc.CampaignServiceStub(channel)
        self._stubs = (
            self.campaign,
            fleet_pb2_grpc.FleetServiceStub(channel),
            suppression_pb2_grpc.SuppressionServiceStub(channel),
            shaping_pb2_grpc.ShapingServiceStub(channel),
            feedback_pb2_grpc.FeedbackServiceStub(channel),
            forecast_pb2_grpc.ForecastServiceStub(channel),
            health_pb2_grpc.HealthServiceStub(channel),
        )
        self.submission = submission_pb2_grpc.SubmissionServiceStub(channel)

    def ask(self, method: str, request: Any, timeout_s: float = ASK_TIMEOUT_S) -> Any:
        """The answer of a unary method, whichever service has it. Raises Failure."""
        call = next(getattr(stub, method) for stub in self._stubs if hasattr(stub, method))
        try:
            return call(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self.failure(error) from None

    def pages(self, method: str, request: Any, items: str, limit: int = 0) -> Iterator[Any]:
        """All rows of a list method, page by page; at most `limit` where that is not 0."""
        seen = 0
        while True:
            request.page_size = min(limit - seen, _PAGE) if limit else _PAGE
            reply = self.ask(method, request)
            for row in getattr(reply, items):
                yield row
                seen += 1
            if not reply.next_page_token or (limit and seen >= limit):
                return
            request.page_token = reply.next_page_token

    def failure(self, error: grpc.RpcError) -> Failure:
        """What an RPC error means to the person who called."""
        code: grpc.StatusCode = error.code()
        words: str = error.details() or ""
        where = f"the controller at {self._session.controller}"
        if code is grpc.StatusCode.UNAVAILABLE and "database" in words:
            return Failure(Exit.UNREACHABLE, f"{where} says: {words}")
        if code is grpc.StatusCode.UNAVAILABLE and _is_about_tls(words):
            return Failure(
                Exit.NOT_ALLOWED,
                f"{where} and the credentials in {self._session.credentials} do not fit together "
                f"({_inner(words)}). Nothing was changed. Credentials of another fleet? "
                "--credentials names another folder",
            )
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
            return Failure(
                Exit.UNREACHABLE,
                f"cannot reach {where} ({_inner(words)}). Is it running there? --controller or "
                "POSTFLEET_CONTROLLER names another one. Nodes go on with what they have meanwhile",
            )
        return Failure(_EXITS.get(code, Exit.BROKEN), _said(code, words, where))


_EXITS = {
    grpc.StatusCode.INVALID_ARGUMENT: Exit.REFUSED,
    grpc.StatusCode.FAILED_PRECONDITION: Exit.REFUSED,
    grpc.StatusCode.ABORTED: Exit.REFUSED,
    grpc.StatusCode.NOT_FOUND: Exit.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED: Exit.NOT_ALLOWED,
    grpc.StatusCode.UNAUTHENTICATED: Exit.NOT_ALLOWED,
}


def _said(code: grpc.StatusCode, words: str, where: str) -> str:
    if code in _EXITS:
        return f"{words}\nNothing was changed." if code in _REFUSALS else words
    return f"{where} failed ({code.name}: {words}); its log says why"


_REFUSALS = {grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT}


def _is_about_tls(words: str) -> bool:
    lower = words.lower()
    return any(each in lower for each in ("handshake", "certificate", "ssl", "tls"))


def _inner(words: str) -> str:
    """gRPC says the same thing several times over; its last words are the operating system's."""
    return words.rpartition("; last error: ")[2].rpartition(": ")[2].strip() or "no answer"


@contextmanager
def connected(session: Session) -> Iterator[Connection]:
    """A connection for one command. Raises Failure where the credentials cannot be read."""
    credentials = grpc.ssl_channel_credentials(
        _read(session.credentials, "ca.pem"),
        _read(session.credentials, "key.pem"),
        _read(session.credentials, "cert.pem"),
    )
    with grpc.secure_channel(session.controller, credentials, _OPTIONS) as channel:
        yield Connection(session, channel)


def _read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise Failure(
            Exit.NOT_ALLOWED,
            f"cannot read the credentials {folder / name}: {error.strerror}. The controller makes "
            "the first operator's in STATE_DIR/operator at its first start; --credentials or "
            "POSTFLEET_CREDENTIALS names the folder",
        ) from None


def asking(session: Session, method: str, request: Any) -> Any:
    """One question, one answer."""
    with connected(session) as connection:
        return connection.ask(method, request)
