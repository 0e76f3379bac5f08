"""No room for Postfix's log: nothing leaves until there is. On a real small file system."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from postfleet.v1 import spec_pb2

from node_agent.agent.log_room import LogRoom
from node_agent.agent.right import Right
from node_agent.agent.spool.reserve import Reserve, free_octets

pytestmark = pytest.mark.root
MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """16 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "test", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    with (disk / "filler").open("ab") as file:
        file.write(b"x" * (free_octets(disk) - leave))


def test_the_log_gets_the_reserve_and_sending_waits_until_both_have_room(disk: Path) -> None:
    reserve, right, told = Reserve(disk / "reserve", 4 * MIB), Right(), []
    right.use_spec(spec_pb2.NodeSpec(egresses=[spec_pb2.Egress(id="px1")]))
    room = LogRoom(disk / "mail.log", 2 * MIB, reserve, right, lambda: told.append(right.halted))
    assert reserve.restore()
    room.look()
    assert not told
    fill(disk, 0)
    room.look()
    assert right.closed_egresses(0) == {"px1": "disk-full: 0 octets are free for Postfix's log"}
    assert free_octets(disk) == 4 * MIB
    # What the reserve gave is the log's: it is no room to go on with.
    room.look()
    assert len(told) == 1
    (disk / "filler").unlink()
    fill(disk, 7 * MIB)
    room.look()
    assert right.halted
    (disk / "filler").unlink()
    room.look()
    assert reserve.held()
    assert not right.halted
    assert right.closed_egresses(0) == {}
    assert len(told) == 2


def test_room_beside_a_reserve_on_another_disk_is_room_enough(disk: Path, tmp_path: Path) -> None:
    right = Right()
    given_up = Reserve(tmp_path / "reserve", 1 << 60)
    room = LogRoom(disk / "mail.log", 2 * MIB, given_up, right, lambda: None)
    fill(disk, MIB)
    room.look()
    assert right.halted
    (disk / "filler").unlink()
    room.look()
    assert not right.halted
