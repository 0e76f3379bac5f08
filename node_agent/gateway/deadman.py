"""The kernel's own hand on the lease: kills this process at an instant of CLOCK_BOOTTIME.

The gateway cuts its connections itself, in time. But its loop may be stalled, or the process be
stopped, frozen by a cgroup, or frozen between the look at the clock and the send. A POSIX timer
that sends SIGKILL needs no code of ours to run: it ends a stopped or frozen process too, and one
that is just thawed dies before its next instruction. The sockets are reset by the kernel then
(SO_LINGER 0, see pump.py), and systemd starts a new gateway, without a lease.

Not covered: a whole machine that is paused and whose CLOCK_BOOTTIME stood still meanwhile.
timer_create(2), timer_settime(2).
"""

from __future__ import annotations

import ctypes
import os
import signal
import time

_TIMER_ABSTIME = 1
_SIGEV_SIGNAL = 0


class _SigEvent(ctypes.Structure):
    # struct sigevent has 64 octets; what follows is a union that SIGEV_SIGNAL does not use.
    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("unused", ctypes.c_char * 48),
    )


class _TimeSpec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _TimeSpec), ("value", _TimeSpec))


class Deadman:
    """One timer of this process. Not inherited by children, gone with the process."""

    def __init__(self, signal_number: int = signal.SIGKILL) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._timer = ctypes.c_void_p()
        event = _SigEvent(signo=signal_number, notify=_SIGEV_SIGNAL)
        self._check(
            self._libc.timer_create(
                time.CLOCK_BOOTTIME, ctypes.byref(event), ctypes.byref(self._timer)
            )
        )

    def arm(self, at_ns: int) -> None:
        """Kill at this instant (CLOCK_BOOTTIME ns), instead of at the one told before."""
        self._set(max(at_ns, 1))

    def disarm(self) -> None:
        """Kill never."""
        self._set(0)

    def _set(self, at_ns: int) -> None:
        spec = _TimerSpec(value=_TimeSpec(*divmod(at_ns, 1_000_000_000)))
        self._check(self._libc.timer_settime(self._timer, _TIMER_ABSTIME, ctypes.byref(spec), None))

    def _check(self, result: int) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"POSIX timer: {os.strerror(number)}")
