"""redsocks in the gateway's place: the same redirection, the same proxies."""

from __future__ import annotations

from lab.bench.exim_config import PASSWORD, USER
from lab.bench.ground import PROXIES, Ground
from lab.bench.roots import Root
from lab.bench.ways import redsocks_port
from lab.network_namespace import Process
from lab.proxies_config import PORT

# Its defaults (redsocks_conn_max derived from RLIMIT_NOFILE, connpres_idle_timeout 7440 s) make it
# drop connections under this load; it shall be measured at its best.
_BASE = """\
base {
    log_debug = off; log_info = off; log = stderr; daemon = off;
    redirector = iptables;
    rlimit_nofile = 16384; redsocks_conn_max = 4000;
}
"""
_SECTION = """\
redsocks {{
    local_ip = 127.0.0.1; local_port = {port};
    ip = {proxy}; port = {proxy_port}; type = socks5;
    login = "{user}"; password = "{password}";
    listenq = 4096;
}}
"""


def start(ground: Ground, root: Root) -> Process:
    """Start redsocks and wait until it listens."""
    sections = "".join(
        _SECTION.format(
            port=redsocks_port(number),
            proxy=proxy,
            proxy_port=PORT,
            user=USER,
            password=PASSWORD,
        )
        for number, proxy in enumerate(PROXIES)
    )
    (root.path / "etc/redsocks.conf").write_text(_BASE + sections)
    process = root.daemon("/usr/sbin/redsocks", "-c", "/etc/redsocks.conf")
    ground.wait_listening(f"127.0.0.1:{redsocks_port(len(PROXIES) - 1)}")
    return process
