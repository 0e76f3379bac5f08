"""Checks that the keys of the state directory are those of the database, before anything is served.

A controller with another CA would refuse every node, and one with another sealing key could open no
secret: both are told at start, not at three in the morning.
"""

from __future__ import annotations

import base64
from pathlib import Path

from controller.keys.authority import FleetCa
from controller.keys.errors import UnsealError
from controller.keys.sealing import Sealer
from controller.serving.errors import ForeignKeys
from controller.store import Store, queries

_SQL = queries.load("fleet_keys")
_ROW = "setting/controller_keys"
_WORD = b"postfleet"


async def check_fleet_keys(store: Store, ca: FleetCa, sealer: Sealer, state_dir: Path) -> None:
    """Records the keys at first start, compares later. Raises ForeignKeys."""
    mine = {
        "ca_sha256": ca.sha256.hex(),
        "sealed": base64.b64encode(sealer.seal(_WORD, _ROW)).decode(),
    }
    await store.execute(_SQL["record"], value=mine)
    kept = await store.fetch_value(_SQL["recorded"])
    if kept["ca_sha256"] != mine["ca_sha256"]:
        raise ForeignKeys(
            f"the CA in {state_dir / 'ca'} is not this database's (SHA-256 "
            f"{kept['ca_sha256'][:16]}…): use the state directory of the first controller"
        )
    try:
        sealer.open(base64.b64decode(kept["sealed"]), _ROW)
    except UnsealError as error:
        raise ForeignKeys(
            f"{state_dir / 'sealing.key'} does not open this database's secrets: use the state "
            "directory of the first controller"
        ) from error
