"""The SOCKS5 proxies of the measurements: one Dante, 20 addresses, user and password.

In a fleet they are other machines; here they share two cores with what is measured. So Dante is as
light as it can be: one process tree, no log of connections, one exit address. It is the same for
everybody that is measured.
"""

from __future__ import annotations

from lab.bench.exim_config import PASSWORD, USER
from lab.bench.ground import PROXIES, Ground, run
from lab.network_namespace import Process
from lab.proxies_config import (
    PORT,
    Account,
    passwd_file,
    shadow_file,
    start_script,
)

_PROCESSES = 1
_CONFIG = """\
logoutput: {log}
{internal}
external: {external}
clientmethod: none
socksmethod: username
user.privileged: root
user.unprivileged: nobody
client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: error }}
socks pass {{
    from: 0.0.0.0/0 to: 0.0.0.0/0
    command: connect
    log: error
}}
"""


def start(ground: Ground) -> Process:
    """Start Dante and wait until it listens on every address."""
    folder = ground.directory / "dante"
    folder.mkdir()
    # Traditional crypt(3): the cheapest there is; Dante checks it at every connection.
    hashed = run("perl", "-e", "print crypt($ARGV[0], 'pf')", PASSWORD)
    (folder / "passwd").write_text(passwd_file([USER]))
    (folder / "shadow").write_text(shadow_file([Account(USER, hashed)]))
    internal = "\n".join(f"internal: {address} port = {PORT}" for address in PROXIES)
    (folder / "dante.conf").write_text(
        _CONFIG.format(log=folder / "log", internal=internal, external=PROXIES[0])
    )
    script = start_script(folder, _PROCESSES)
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script]
    process = ground.namespace.popen(argv, log="dante")
    ground.wait_listening(f"{PROXIES[-1]}:{PORT}")
    return process
