"""The controller's database: the only package that knows psycopg and SQL files.

    from controller.store import Store, queries

    SQL = queries.load("planner")               # controller/store/queries/planner.sql

    async with Store.open(dsn) as store:        # a pool; checks that the schema is current
        async with store.transaction() as tx:   # BEGIN … COMMIT; an exception rolls back
            rows = await tx.fetch_all(SQL["waiting_clients"], limit=10)       # list of dicts
            row = await tx.fetch_optional(SQL["client_by_id"], id="acme")     # dict or None
            count = await tx.fetch_value(SQL["count_waiting"])                # first column
            changed = await tx.execute(SQL["charge"], subject="a@b.test", day=today)  # row count
            await tx.execute_many(SQL["mark"], [{"id": "…"}, …])              # pipelined
            await tx.copy_in("message_content", ("message_id", "content"), rows)
            await tx.notify("planner", "acme")  # delivered at commit

        # One statement of its own needs no block:
        await store.execute(SQL["lift"], id=7)

        # Work that may meet a deadlock or a concurrent update, and can be done again from the
        # start (up to 5 times):
        result = await store.run(lambda tx: assign(tx, today))

        # What many tasks ask for, done together in one transaction (controller.store.gatherer):
        grant = await gatherer.do(heartbeat)

        async for notice in store.listen("planner"):    # own connection, reconnects
            …
        async with store.advisory_lock("loops") as lock:   # own connection
            if await lock.try_acquire(): …                 # and `await lock.still_held()`

A query file holds queries, each with a name and a description; parameters are `%(name)s`, a literal
percent sign is `%%`:

    -- waiting_clients --
    -- Clients that have messages in `accepted`, the longest waiting first.
    SELECT client_id FROM message WHERE state = 'accepted' GROUP BY client_id LIMIT %(limit)s

Values: `dict` goes to jsonb, `list` to an SQL array (`= ANY(%(ids)s)`), `bytes` to bytea, aware
`datetime` to timestamptz, `ipaddress` objects to inet; the same come back (inet as IPv4Address).

Errors are those of `controller.store.errors`, never psycopg's. Tests take the fixtures `database`
(the DSN of a fresh, migrated database) and `store` (an open `Store` on it) of tests/conftest.py.
"""

from __future__ import annotations

from controller.store.gatherer import Gatherer
from controller.store.lock import AdvisoryLock
from controller.store.pool import Notice, Store
from controller.store.transaction import Row, Transaction

__all__ = ["AdvisoryLock", "Gatherer", "Notice", "Row", "Store", "Transaction"]
