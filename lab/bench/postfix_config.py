"""Postfix as a node has it, without signing: main.cf, master.cf and the sender map. Pure.

The same file serves every way out; only nft decides where a connection goes.
"""

from __future__ import annotations

from lab.bench.ground import EGRESSES, SURROGATES

INTAKE = "127.0.0.1:10587"

MAIN = """\
compatibility_level = 3.6
myhostname = n1.bench.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.1/32
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
local_transport = error:no
default_transport = retry:no egress
sender_dependent_default_transport_maps = texthash:/etc/postfix/sender_transport
recipient_delimiter = +
relayhost =
smtp_mx_session_limit = 1
smtp_tls_security_level = none
disable_mime_output_conversion = yes
smtpd_peername_lookup = no
notify_classes =
enable_long_queue_ids = yes
maillog_file = /var/log/mail.log
biff = no
"""

MASTER = """\
127.0.0.1:10587 inet n - n - 100 smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""

_TRANSPORT = """\
egress-e{number} unix - - n - - smtp
  -o smtp_bind_address={address}
  -o smtp_helo_name=e{number}.bench.test
  -o syslog_name=postfix/egress-e{number}
"""


def main_cf() -> str:
    """main.cf with each egress's concurrency as the inventory's default has it."""
    limits = "".join(
        f"egress-e{number}_destination_concurrency_limit = 5\n"
        f"egress-e{number}_initial_destination_concurrency = 5\n"
        for number in range(1, EGRESSES + 1)
    )
    return MAIN + limits


def master_cf() -> str:
    """master.cf with a transport for each egress."""
    return MASTER + "".join(
        _TRANSPORT.format(number=number, address=address)
        for number, address in enumerate(SURROGATES, 1)
    )


def sender_transport() -> str:
    """Sender map: everybody at e<n>.bench.test sends through the n-th egress."""
    return "".join(f"@e{n}.bench.test egress-e{n}:\n" for n in range(1, EGRESSES + 1))


def sender(number: int) -> str:
    """The sender whose mail takes the n-th egress, from 1."""
    return f"box@e{number}.bench.test"
