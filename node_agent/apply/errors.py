"""Why a request could not be done: one class per stage, named as ApplyReply.stage says it.

None of these is worth a retry with the same request, except Probe and Reload after somebody looked
at the services on the node. Whatever is raised, the node runs the previous generation.
"""

from __future__ import annotations

from typing import ClassVar


class ApplyError(Exception):
    """A request was not carried out; `stage` says where it stopped."""

    stage: ClassVar[str] = "apply"


class ValidationFailed(ApplyError):
    """The spec or command says something that no spec may say. Nothing was touched."""

    stage = "validate"


class RenderFailed(ApplyError):
    """A template and the model do not fit together. Nothing was touched."""

    stage = "render"


class CheckFailed(ApplyError):
    """Postfix, nft, opendkim or openssl rejected the rendered files. Nothing was touched."""

    stage = "check"


class SwapFailed(ApplyError):
    """The file system refused; the previous generation is current."""

    stage = "swap"


class ReloadFailed(ApplyError):
    """A service did not take the new files; the previous generation is current again."""

    stage = "reload"


class ProbeFailed(ApplyError):
    """Mail did not get through a transport to the gateway; the previous generation runs again."""

    stage = "probe"


class QueueCommandFailed(ApplyError):
    """postsuper(1) refused; what it did before that stays done."""

    stage = "queue"
