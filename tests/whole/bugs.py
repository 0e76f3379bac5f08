"""Faults to plant, each a line left out or moved. The invariants must find every one of them."""

from __future__ import annotations

from enum import StrEnum


class Bug(StrEnum):
    NONE = "none"
    # Leases and terms.
    MARGIN_REMOVED = "a term counts as over after its ttl, although clocks differ"
    EPOCH_UNCHECKED = "a release of an earlier term frees the egress of the present one"
    RENEWALS_UNCHECKED = "a term ends although it was renewed since the look"
    # The hand-over.
    RECORDED_BEFORE = "the hand-over is written down as done before it is"
    NOT_MARKED = "the hand-over is not written down before it begins"
    LOG_NOT_READ = "what is not in the queue counts as not accepted, whatever the log says"
    HOLD_FORGOTTEN = "an uncertain message is left to Postfix, which tries again"
    # Reports and dispatch.
    EVENTS_REPEATED = "an event that is reported again counts again"
    ACKNOWLEDGED_BEFORE = "events are acknowledged before they are stored"
    STORED_BEFORE = "a dispatched message is answered as stored before it is"
    LOST_DISK_FORGIVEN = "what was on a lost disk is sent again"
    FREED_MAIL_SENT_AGAIN = "mail of a node whose term is over is planned anew at once"
    # The ledger.
    REFUND_DOUBLED = "what gave its allowance back gives it back again"
    ATTEMPT_REFUNDED = "what a receiver was asked to take gives its allowance back"
    CAP_UNCHECKED = "the ledger takes any charge"
    # Recall and cancel.
    RECALLED_IN_FLIGHT = "what Postfix is delivering is put on hold and deleted like the rest"
    RECALL_NOT_NOTED = "a queue file is deleted before it is written down that it will be"
    CANCELLED_ON_ASKING = "a message on a node counts as cancelled once the node was asked"
    # The guard and suspensions.
    GUARD_FORGOTTEN = "what was being delivered when Postfix ended is tried again"
    SUSPENSION_FORGOTTEN = "a gateway that gets a new lease forgets what is suspended"
