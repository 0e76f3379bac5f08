"""Puts a controller together and runs it until it is asked to stop.

    run(settings)     blocks: embedded PostgreSQL (or --dsn), migrations, keys, services, loops
    Controller        the same within a running event loop, for tests

Starting is safe at any time and any number of times; several controllers may serve one database.
SIGTERM and SIGINT stop it in order: no new calls, sessions end, loops end, PostgreSQL last.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

import structlog

from controller.desired.current import CurrentFleet
from controller.events.recorder import Recorder
from controller.keys.authority import FleetCa, open_fleet_ca
from controller.keys.credentials import ensure_operator
from controller.keys.sealing import Sealer, open_sealer
from controller.loops.campaigns import Campaigns
from controller.loops.clock import Clock
from controller.loops.cycle import run_forever
from controller.loops.dispatch import Dispatcher
from controller.loops.health import Health
from controller.loops.leader import Loop, lead
from controller.loops.reconcile import Reconciler
from controller.loops.retention import Retention
from controller.loops.sweeper import Sweeper
from controller.loops.warming import Warming
from controller.planner.cycle import Planner
from controller.postgres import EmbeddedServer
from controller.providers.cycle import Asking, Naming
from controller.providers.lookup import MailDns
from controller.providers.table import OTHER, open_table
from controller.serving.fleet_keys import check_fleet_keys
from controller.serving.http import MetricsServer
from controller.serving.probe_echo import start_probe_echo
from controller.serving.rpc import RpcServer
from controller.serving.services import services
from controller.serving.settings import RunSettings
from controller.sessions.errors import ControllerStops
from controller.sessions.heartbeats import Heartbeats
from controller.sessions.pusher import Pusher
from controller.sessions.registry import Registry
from controller.shaping.proved import open_proved
from controller.store import Store
from controller.store.migrate import migrate
from controller.throttle.heard import Listener
from controller.throttle.recovery import Recovery
from controller.throttle.reload import RulesReload
from controller.warm_up.write import WarmUpMail

_log = structlog.get_logger(__name__)
_GRACE_S = 3.0
_CONNECTIONS = 16
# Of its own for leases: a busy pool must not keep a node from renewing.
_LEASE_CONNECTIONS = 2


@dataclass
class Controller:
    """What a running controller consists of; made by `serving`."""

    store: Store
    ca: FleetCa
    sealer: Sealer
    registry: Registry
    port: int


def run(settings: RunSettings) -> None:
    """Runs a controller until SIGTERM or SIGINT. Raises what keeps it from starting."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    if settings.dsn is not None:
        asyncio.run(_until_signal(settings, settings.dsn, None))
        return
    with EmbeddedServer(settings.state_dir / "pg") as postgres:
        asyncio.run(_until_signal(settings, postgres.dsn(), postgres))


async def _until_signal(settings: RunSettings, dsn: str, postgres: EmbeddedServer | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(settings, dsn, postgres) as controller:
        _log.info("controller serves", listen=settings.listen.host, port=controller.port)
        await stop.wait()
        _log.info("controller stops")


@contextlib.asynccontextmanager
async def serving(
    settings: RunSettings, dsn: str, postgres: EmbeddedServer | None = None
) -> AsyncIterator[Controller]:
    """A controller that serves within the block.

    Raises KeysError, StoreError, ServingError, and ShapingError or TableError for rules and tables
    that cannot be used.
    """
    listener = _listener(settings)
    ca, sealer = open_fleet_ca(settings.state_dir), open_sealer(settings.state_dir)
    ensure_operator(ca, settings.state_dir)
    applied = await asyncio.to_thread(migrate, dsn)
    if applied:
        _log.info("database migrated", applied=applied)
    async with (
        Store.open(dsn, _CONNECTIONS) as store,
        Store.open(dsn, _LEASE_CONNECTIONS) as lease_store,
    ):
        await check_fleet_keys(store, ca, sealer, settings.state_dir)
        current, registry = CurrentFleet(), Registry()
        await current.refresh(store)
        pusher = Pusher(store, sealer, registry, current)
        heartbeats = Heartbeats(lease_store, current)
        recorder = Recorder(store, listener)
        rpc = RpcServer(
            store,
            ca,
            settings.listen,
            settings.names,
            services(
                store,
                ca,
                sealer,
                current,
                registry,
                pusher,
                recorder,
                heartbeats,
                settings.join_grace_s,
                {*listener.table.names, OTHER},
            ),
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(heartbeats.close)
            stack.push_async_callback(recorder.close)
            port = await rpc.start()
            stack.push_async_callback(_stop_serving, rpc, registry)
            await _open_side_doors(stack, settings, store)
            await stack.enter_async_context(
                _running(
                    _local_loops(store, current, registry, pusher)
                    + _rules_loop(settings, store, listener)
                    + [lead(store, lambda: _elected_loops(settings, store, listener))]
                    + ([_keep_running(postgres)] if postgres else [])
                )
            )
            yield Controller(store, ca, sealer, registry, port)


def _listener(settings: RunSettings) -> Listener:
    table = open_table(settings.providers)
    return Listener(open_proved(settings.shaping, table.names), table)


def _local_loops(
    store: Store, current: CurrentFleet, registry: Registry, pusher: Pusher
) -> list[Coroutine[Any, Any, None]]:
    dispatcher = Dispatcher(store, current, registry)

    async def settings_cycle() -> str:
        await current.refresh(store)
        return "settings read"

    return [
        run_forever("settings", settings_cycle, every_s=1.0),
        run_forever("pusher", pusher.run_cycle, every_s=0.25),
        run_forever("dispatch", dispatcher.run_cycle, every_s=0.2, is_busy=lambda: dispatcher.busy),
    ]


def _rules_loop(
    settings: RunSettings, store: Store, listener: Listener
) -> list[Coroutine[Any, Any, None]]:
    if settings.shaping is None:
        return []
    rules = RulesReload(store, listener, settings.shaping)
    return [run_forever("rules", rules.run_cycle, every_s=2.0)]


def _elected_loops(settings: RunSettings, store: Store, listener: Listener) -> list[Loop]:
    reconciler = Reconciler(store, join_grace_s=settings.join_grace_s)
    planner = Planner(store)
    sweeper = Sweeper(store)
    campaigns = Campaigns(store)
    naming = Naming(store, listener.table)
    asking = Asking(store, listener.table, MailDns([(dns.host, dns.port) for dns in settings.dns]))
    recovery = Recovery(store)
    clock = Clock(store)

    async def ask() -> None:
        try:
            await run_forever("mail-dns", asking.run_cycle, every_s=0.2)
        finally:
            await asking.close()

    return [
        lambda: run_forever("reconcile", reconciler.run_cycle, every_s=0.5),
        lambda: run_forever(
            "planner", planner.run_cycle, every_s=0.2, is_busy=lambda: planner.is_busy
        ),
        lambda: run_forever(
            "campaigns", campaigns.run_cycle, every_s=1.0, is_busy=lambda: campaigns.is_busy
        ),
        lambda: run_forever("warming", Warming(store).run_cycle, every_s=60.0),
        lambda: run_forever("health", Health(store).run_cycle, every_s=15.0),
        lambda: run_forever("warm-up-mail", WarmUpMail(store).run_cycle, every_s=60.0),
        lambda: run_forever("sweeper", sweeper.run_cycle, every_s=5.0),
        lambda: run_forever("retention", Retention(store).run_cycle, every_s=1.0),
        lambda: run_forever(
            "providers", naming.run_cycle, every_s=0.2, is_busy=lambda: naming.is_busy
        ),
        ask,
        lambda: run_forever("recovery", recovery.run_cycle, every_s=5.0),
        lambda: run_forever("clock", clock.run_cycle, every_s=2.0, is_busy=lambda: clock.is_busy),
    ]


async def _open_side_doors(
    stack: contextlib.AsyncExitStack, settings: RunSettings, store: Store
) -> None:
    if settings.metrics is not None:
        server = await MetricsServer(store, settings.metrics).start()
        stack.callback(server.close)
    if settings.probe_echo is not None:
        server = await start_probe_echo(settings.probe_echo)
        stack.callback(server.close)


@contextlib.asynccontextmanager
async def _running(loops: list[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Runs loops beside the block and ends them with it."""
    tasks = [asyncio.create_task(loop) for loop in loops]
    for task in tasks:
        task.add_done_callback(_say_if_it_died)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _say_if_it_died(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.critical("a loop of this controller died: restart it", why=repr(task.exception()))


async def _stop_serving(rpc: RpcServer, registry: Registry) -> None:
    for session in registry:
        session.end(ControllerStops("this controller stops; dial again"))
    await rpc.stop(_GRACE_S)


async def _keep_running(postgres: EmbeddedServer) -> None:
    """Starts the embedded server again when it died; its clients reconnect by themselves."""
    while True:
        await asyncio.sleep(1.0)
        if postgres.pid() is None:
            _log.error("embedded PostgreSQL is gone; starting it", directory=postgres.directory)
            try:
                await asyncio.to_thread(postgres.start)
            except Exception as error:
                _log.error("embedded PostgreSQL did not start", why=str(error))
