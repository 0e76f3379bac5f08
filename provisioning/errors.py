"""What can go wrong while provisioning. Every message says what was tried, on what, what still
holds and what to do; `StepFailed` carries these four apart, so they can be laid out."""

from __future__ import annotations

from dataclasses import dataclass


class ProvisioningError(Exception):
    """Something that stops provisioning (of one node, or before any); the base of all.

    `outcome`: the word for it in the summary.
    """

    outcome = "failed"


class LockError(ProvisioningError):
    """The lock file, or the wheels it names, cannot give a node what it needs."""


class ConnectionFailed(ProvisioningError):
    """A node could not be reached or is not the one the inventory pins; nothing was changed."""


class WrongHostKey(ConnectionFailed):
    """What answers shows another ssh host key than the one that is pinned."""


class ReinstallFailed(ProvisioningError):
    """No bare machine came of it; the node is cordoned, and its egresses are free for others."""


class Unsupported(ProvisioningError):
    """The machine is none that can become a node; nothing was changed."""


class ControllerError(ProvisioningError):
    """The controller could not be asked, or refused."""


class OrderRefused(ControllerError):
    """The controller refused an order as things stand; nothing was changed."""


class Interrupted(ProvisioningError):
    """The operator stopped it between two steps; running it again goes on from there."""

    outcome = "stopped"


class LeftToDo(ProvisioningError):
    """The work is done but for what only the operator may do; the message says what."""

    outcome = "done, and your turn"


@dataclass
class StepFailed(ProvisioningError):
    """One command of one step on one node failed."""

    node_id: str
    step: str
    command: str
    stderr: str
    holds: str
    remedy: str

    def __str__(self) -> str:
        words = self.stderr.strip() or "it said nothing"
        return (
            f"{self.node_id}: step {self.step} failed\n"
            f"  command: {self.command}\n"
            f"  it said: {words.replace(chr(10), chr(10) + '           ')}\n"
            f"  what still holds: {self.holds}\n"
            f"  what to do: {self.remedy}"
        )
