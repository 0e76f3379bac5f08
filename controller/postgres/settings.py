"""The embedded server's postgresql.conf and pg_hba.conf, as text. Pure.

Sources: PostgreSQL manual, "Server Configuration" (19.4 resources, 19.5 WAL), "Client
Authentication" (21.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

MIB = 1024 * 1024

# Durability first: an accepted message is on disk before it is answered.
_DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "wal_sync_method": "fdatasync",
}

_FIRST_WITH_LZ4 = 15


def settings(major: int, memory_bytes: int, socket_dir: Path) -> dict[str, str]:
    """postgresql.conf of a major version, for a machine with that much memory, which the server
    shares with others."""
    buffers_mib = max(32, min(1024, memory_bytes // MIB // 16))
    return {
        **_DURABLE,
        "listen_addresses": "",
        # Only part of the socket's name.
        "port": "5432",
        "unix_socket_directories": str(socket_dir),
        # The directory is closed to others; this is the second door.
        "unix_socket_permissions": "0700",
        "max_connections": "60",
        "shared_buffers": f"{buffers_mib}MB",
        "effective_cache_size": f"{buffers_mib * 4}MB",
        "work_mem": "8MB",
        "maintenance_work_mem": "64MB",
        "max_wal_size": "2GB",
        "min_wal_size": "128MB",
        "checkpoint_timeout": "10min",
        # The first change of a page after a checkpoint writes it whole. pglz ("on"), which is all
        # that versions before 15 have, costs more than it saves (decision 0027).
        "wal_compression": "lz4" if major >= _FIRST_WITH_LZ4 else "off",
        "random_page_cost": "1.1",
        "jit": "off",
        "autovacuum_vacuum_scale_factor": "0.05",
        "autovacuum_vacuum_insert_scale_factor": "0.1",
        "autovacuum_analyze_scale_factor": "0.05",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
        "log_min_duration_statement": "5s",
        "lc_messages": "C",
    }


def conf_text(values: Mapping[str, str]) -> str:
    """postgresql.conf with these values."""
    lines = ["# Written by postfleet at each start; changes here are overwritten."]
    for name, value in values.items():
        quoted = value.replace("'", "''")
        lines.append(f"{name} = '{quoted}'")
    return "\n".join(lines) + "\n"


def hba_text() -> str:
    """pg_hba.conf: whoever can enter the socket's directory (0700) is the fleet."""
    return "local all all trust\n"
