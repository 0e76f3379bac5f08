"""Credential folders, as the CLI reads them: ca.pem, cert.pem, key.pem.

The first operator's are made at the controller's first start in STATE/operator; whoever reads that
folder may do everything. Further operators and clients get folders by the same function.
"""

from __future__ import annotations

from pathlib import Path

from controller.keys.authority import FleetCa
from controller.keys.identity import Kind
from controller.keys.secret_file import make_private_folder, write_secret

FIRST_OPERATOR = "admin"


def write_credentials(ca: FleetCa, folder: Path, kind: Kind, id: str) -> None:
    """Issues a certificate and writes the three files, the certificate last."""
    issued = ca.issue_identity(kind, id)
    make_private_folder(folder)
    write_secret(folder / "ca.pem", ca.pem, mode=0o644)
    write_secret(folder / "key.pem", issued.key_pem)
    write_secret(folder / "cert.pem", issued.certificate_pem, mode=0o644)


def ensure_operator(ca: FleetCa, state_dir: Path) -> bool:
    """Makes STATE/operator where it is missing; True when it was made now."""
    folder = state_dir / "operator"
    if (folder / "cert.pem").exists():
        return False
    write_credentials(ca, folder, Kind.OPERATOR, FIRST_OPERATOR)
    return True
