"""Intake: how mail comes in. Checks each message, answers after it is durable, once per key.

    rejection  what is said to a sender whose message is not taken (data, with a code)
    address    RFC 5321 addresses
    header     the header section of RFC 5322 content
    originator the one address in From or Sender
    content    the octets of a message, and what stands in its header
    addition   the header lines that are added where missing
    check      all of these for one message, given what is known of clients and mailboxes
    facts      reads what is known from the store
    write      writes what is admitted into the store
    ingest     a batch: check, look up keys and suppressions, store
    service    the gRPC edge (SubmissionService)

Does not choose mailboxes or times: that is controller.planner.
"""
