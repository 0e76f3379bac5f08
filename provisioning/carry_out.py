"""Carries a step out on a machine: actions become scripts, uploads and calls to the controller."""

from __future__ import annotations

import io
import shlex
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath

from provisioning.actions import Enrol, Script, Step, Upload, WriteFiles
from provisioning.errors import ControllerError, StepFailed
from provisioning.fleet import Fleet
from provisioning.machine import Machine
from provisioning.steps_identity import CSR
from provisioning.wish import CA, CERTIFICATE, FileWish


@dataclass
class Worker:
    """Does the steps of one node. `fleet` is needed by the certificate's step only."""

    node_id: str
    machine: Machine
    fleet: Fleet | None

    def do(self, step: Step) -> None:
        """Carry the step out. Raises StepFailed, or ConnectionFailed when the line breaks."""
        for action in step.actions:
            match action:
                case Script(text):
                    self._script(step, text)
                case Upload():
                    self._upload(step, action)
                case WriteFiles(files):
                    self._write(step, files)
                case Enrol(node_id):
                    self._enrol(step, node_id)

    def _script(self, step: Step, text: str) -> str:
        answer = self.machine.run(text)
        if answer.status != 0:
            words = "\n".join([*answer.stderr.strip().splitlines()[-25:], _status(answer.status)])
            raise StepFailed(self.node_id, step.name, _shown(text), words, step.holds, step.remedy)
        return answer.stdout

    def _upload(self, step: Step, upload: Upload) -> None:
        arrived = self.machine.put(upload.source)
        target = shlex.quote(upload.target)
        folder = shlex.quote(str(PurePosixPath(upload.target).parent))
        self._script(
            step,
            f"echo '{upload.sha256}  {arrived}' | sha256sum --check --status\n"
            f"mkdir -p {folder}\nmv {arrived} {target}\nchown root:root {target}\n",
        )

    def _write(self, step: Step, files: tuple[FileWish, ...]) -> None:
        """All in one tarball; each is moved beside its place, given its mode, renamed into it."""
        arrived = self.machine.put(_tarball(files))
        lines = [f"cd {arrived}.d"]
        for number, file in enumerate(files):
            path = shlex.quote(file.path)
            lines += [
                f"mkdir -p {shlex.quote(str(PurePosixPath(file.path).parent))}",
                f"install -o root -g root -m {file.mode} {number} {path}.postfleet-new",
                f"mv -T {path}.postfleet-new {path}",
            ]
        unpack = f"mkdir {arrived}.d\ntar -xf {arrived} -C {arrived}.d\n"
        self._script(step, unpack + "\n".join(lines) + "\n")

    def _enrol(self, step: Step, node_id: str) -> None:
        csr = self._script(step, CSR.format(node_id=shlex.quote(node_id)))
        try:
            if self.fleet is None:
                raise ControllerError("no controller was given (--controller, --credentials)")
            reply = self.fleet.enrol(node_id, csr)
        except ControllerError as error:
            command = f"EnrolNode({node_id})"
            raise StepFailed(
                self.node_id, step.name, command, str(error), step.holds, step.remedy
            ) from error
        certificate = FileWish(CERTIFICATE, reply.certificate_pem.encode())
        # the CA first: a certificate without it would be of no use
        self._write(step, (FileWish(CA, reply.ca_pem.encode()), certificate))


def _tarball(files: tuple[FileWish, ...]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for number, file in enumerate(files):
            info = tarfile.TarInfo(str(number))
            info.size = len(file.content)
            tar.addfile(info, io.BytesIO(file.content))
    return out.getvalue()


def _shown(script: str) -> str:
    """A script in an error message: its lines, at most eight."""
    lines = [line for line in script.strip().splitlines() if line.strip()]
    more = [f"… ({len(lines) - 8} more lines)"] if len(lines) > 8 else []
    return "\n           ".join([*lines[:8], *more])


def _status(status: int) -> str:
    return f"(exit status {status})"
