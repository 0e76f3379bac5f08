"""Faults to plant, each a line left out or moved. The invariants must find every one of them.

Those of the lease arithmetic alone are planted in tests/controller/leases, where they are found
sooner.
"""

from __future__ import annotations

from enum import StrEnum


class Bug(StrEnum):
    NONE = "none"
    RENEWALS_UNCHECKED = "a term ends although it was renewed since the look"
    RECORDED_BEFORE = "the hand-over is written down as done before it is"
    NOT_MARKED = "the hand-over is not written down before it begins"
    LOG_NOT_READ = "what is not in the queue counts as not accepted, whatever the log says"
    HOLD_FORGOTTEN = "an uncertain message is left to Postfix, which tries again"
    EVENTS_REPEATED = "an event that is reported again counts again"
    ACKNOWLEDGED_BEFORE = "events are acknowledged before they are stored"
    STORED_BEFORE = "a dispatched message is answered as stored before it is"
    LOST_DISK_FORGIVEN = "what was on a lost disk is sent again"
    FREED_MAIL_SENT_AGAIN = "mail of a node whose term is over is planned anew at once"
    REFUND_DOUBLED = "what gave its allowance back gives it back again"
    ATTEMPT_REFUNDED = "what a receiver was asked to take gives its allowance back"
    CAP_UNCHECKED = "the ledger takes any charge"
