"""One provider's process: listens on all its MX addresses until it is told to stop."""

from __future__ import annotations

import asyncio
import signal
from functools import partial
from pathlib import Path

from lab.receivers.desk import Desk, RulesFile
from lab.receivers.errors import ReceiverError
from lab.receivers.outbound import abuse_report, deliver, keep, late_dsn
from lab.receivers.records import Record, RecordWriter
from lab.receivers.rules import Complaint, LateDsn
from lab.receivers.settings import Provider, ReceiverSettings
from lab.receivers.smtp import Receiver
from lab.receivers.tls import server_context

_BACKLOG = 1024
_TRIES = 3
_PAUSE_S = 5.0


async def serve(settings: ReceiverSettings, provider: Provider, resolver: str) -> None:
    """Serves until SIGTERM or SIGINT. Writes `ready` in the provider's folder once it listens.

    Raises ReceiverError when an address cannot be listened on.
    """
    loop = asyncio.get_running_loop()
    folder = settings.folder / provider.name
    folder.mkdir(parents=True, exist_ok=True)
    later = _Later(settings, provider, resolver, folder)
    writer = RecordWriter(folder)
    desk = Desk(provider, RulesFile(settings.rules), writer, later)
    context = server_context(settings.tls, provider.name)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    servers = []
    for exchanger in provider.exchangers:
        factory = partial(Receiver, desk, provider, exchanger, context)
        try:
            servers.append(
                await loop.create_server(
                    factory, exchanger.address, settings.port, backlog=_BACKLOG
                )
            )
        except OSError as error:
            raise ReceiverError(
                f"{provider.name}: listening on {exchanger.address}:{settings.port}: {error}"
            ) from error
    (folder / "ready").touch()
    await stopped.wait()
    (folder / "ready").unlink(missing_ok=True)
    for server in servers:
        server.close()
    later.cancel()
    writer.close()


class _Later:
    """Runs what is sent back later, each in a thread after its delay."""

    def __init__(
        self, settings: ReceiverSettings, provider: Provider, resolver: str, folder: Path
    ) -> None:
        self._outbound = settings.outbound
        self._reporter = provider.exchangers[0].host
        self._resolver = resolver
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, action: LateDsn | Complaint, record: Record, content: bytes) -> None:
        task = asyncio.get_running_loop().create_task(self._run(action, record, content))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, action: LateDsn | Complaint, record: Record, content: bytes) -> None:
        await asyncio.sleep(action.delay_s)
        if isinstance(action, LateDsn):
            report = late_dsn(action, record, content, self._reporter)
        else:
            report = abuse_report(record, content, self._reporter)
        path = keep(report, self._folder)
        for _ in range(_TRIES):
            if await asyncio.to_thread(
                deliver, report, path, self._reporter, self._outbound, self._resolver
            ):
                return
            await asyncio.sleep(_PAUSE_S)

    def cancel(self) -> None:
        """Drops what is still waiting."""
        for task in self._tasks:
            task.cancel()
