"""Where gateway, guard and agent leave word for one another. Each path is written by one of them.

The words are names of files, not their content: nobody parses what another user wrote.
"""

from __future__ import annotations

from pathlib import Path

# By the gateway: an empty file for each egress that may have a connection open.
MARKS = Path("/var/lib/postfleet-gateway/in-use")
# By the guard: it has run since this machine booted. Before that no mark goes away.
GUARD_RAN = Path("/run/postfleet-guard/ran")
# By the guard: why it held a queue file, in a file named by the queue id.
HELD = Path("/var/lib/postfleet-guard/held")
# By the guard: Postfix ended and was seen to; there until Postfix starts.
SEEN_TO = Path("/var/lib/postfleet-guard/seen-to")
