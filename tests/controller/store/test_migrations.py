"""Migrations: once, in order, by one process at a time, and equal to the committed schema."""

from __future__ import annotations

import threading

import psycopg
import pytest

from controller.postgres import EmbeddedServer, find_binaries
from controller.postgres.errors import BinariesMissing
from controller.store import schema
from controller.store.errors import SchemaMismatch, StoreUnavailable
from controller.store.migrate import Migration, migrate, migrations, pending

ONE, TWO = Migration(1, "0001_a.sql", "a"), Migration(2, "0002_b.sql", "b")


def test_all_migrations_together_make_the_committed_schema(database: str) -> None:
    try:
        find_binaries(schema.MAJOR)
    except BinariesMissing:
        pytest.skip(f"needs pg_dump of PostgreSQL {schema.MAJOR}, by which schema.sql is written")
    assert schema.dump(database) == schema.FILE.read_text(encoding="utf-8"), (
        "schema.sql is behind the migrations: run python -m controller.store.schema"
    )


def test_migrating_again_changes_nothing(database: str) -> None:
    assert migrate(database) == []


def test_processes_that_start_together_migrate_once(postgres_server: EmbeddedServer) -> None:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE together")
    dsn = postgres_server.dsn("together")
    done: list[list[str]] = []
    threads = [threading.Thread(target=lambda: done.append(migrate(dsn))) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    names = [migration.name for migration in migrations()]
    assert sorted(done, key=len) == [[], [], [], [], names]


def test_a_failed_migration_leaves_the_database_as_it_was(
    postgres_server: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE failing")
    dsn = postgres_server.dsn("failing")
    good = Migration(1, "0001_good.sql", "CREATE TABLE good ()")
    bad = Migration(2, "0002_bad.sql", "CREATE TABLE half (); SELECT bananas")
    monkeypatch.setattr("controller.store.migrate.migrations", lambda: [good, bad])
    with pytest.raises(Exception, match="bananas"):
        migrate(dsn)
    with psycopg.connect(dsn) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r' ORDER BY 1"
        ).fetchall()
    assert tables == [("good",), ("schema_migration",)]
    monkeypatch.setattr("controller.store.migrate.migrations", lambda: [good])
    assert migrate(dsn) == []


def test_what_is_pending_follows_what_was_applied() -> None:
    assert pending({}, [ONE, TWO]) == [ONE, TWO]
    assert pending({1: ONE.sha256}, [ONE, TWO]) == [TWO]
    assert pending({1: ONE.sha256, 2: TWO.sha256}, [ONE, TWO]) == []


def test_an_edited_migration_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="never edited"):
        pending({1: "another digest"}, [ONE, TWO])


def test_a_database_of_a_newer_program_is_refused() -> None:
    with pytest.raises(SchemaMismatch, match="newer postfleet"):
        pending({1: ONE.sha256, 2: TWO.sha256, 3: "x"}, [ONE, TWO])


def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        migrate("host=/nonexistent dbname=x")
