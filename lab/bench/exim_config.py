"""Exim 4 that does the same with its own means: 20 senders, each through its SOCKS5 proxy. Pure.

exim4-daemon-heavy, `socks_proxy` of the smtp transport. Immediate delivery (its default); the
limits that would make it queue are raised.
"""

from __future__ import annotations

from lab.bench.ground import PROXIES

INTAKE = "127.0.0.1:10588"
USER, PASSWORD = "bench", "bench-password"


def config() -> str:
    """The whole configuration file."""
    proxies = " ".join(f"e{number}.bench.test={p}" for number, p in enumerate(PROXIES, 1))
    return f"""\
primary_hostname = n1.bench.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = 10588
tls_advertise_hosts =
allow_domain_literals = true
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 1000
smtp_accept_queue = 0
smtp_accept_queue_per_connection = 0
smtp_accept_max_per_connection = 0
remote_max_parallel = 5
queue_only_load = 1000.0
deliver_queue_load_max = 1000.0
log_selector = -all
acl_smtp_rcpt = accept
acl_smtp_data = accept
never_users =

begin acl
accept:
  accept

begin routers
out:
  driver = manualroute
  domains = *
  transport = proxied
  route_list = * 203.0.113.10
  self = send

begin transports
proxied:
  driver = smtp
  hosts_try_fastopen =
  hosts_avoid_tls = *
  socks_proxy = ${{extract{{$sender_address_domain}}{{{proxies}}}}} port=1080 \\
    auth=name name={USER} pass={PASSWORD}

begin retry
* * F,1h,1m
"""
