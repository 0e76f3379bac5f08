"""Which of our connections Postfix's intake still works on, from /proc/net/tcp (proc_net_tcp(5)).

A connection we lost may still have its smtpd(8): what it read could become a queue file a moment
later. Only when the server's end is gone does the absence of a message prove anything.
"""

from __future__ import annotations

from pathlib import Path

PROC_NET_TCP = Path("/proc/net/tcp")
# Kernel states in which a process still owns the server's end: ESTABLISHED, FIN_WAIT1, FIN_WAIT2,
# CLOSE_WAIT. (LAST_ACK, CLOSING and TIME_WAIT come after the process closed it.)
_OWNED = frozenset({"01", "04", "05", "08"})


def peers_at_work(table: str, intake_port: int, own_ports: frozenset[int]) -> set[int]:
    """Client ports of connections to `intake_port` that smtpd still holds. Pure.

    `own_ports`: of connections that are in use and accounted for.
    """
    peers: set[int] = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 4 or fields[3] not in _OWNED:
            continue
        local_port = int(fields[1].rpartition(":")[2], 16)
        remote_port = int(fields[2].rpartition(":")[2], 16)
        if local_port == intake_port and remote_port not in own_ports:
            peers.add(remote_port)
    return peers


def read_table() -> str:
    """The kernel's table of this network namespace. Raises OSError."""
    return PROC_NET_TCP.read_text(encoding="ascii")
