"""Warm-up mail: what the fleet's own mailboxes write to one another while some of them warm up.

Pure, from seeds, so that two controllers and every restart come to the same:

    draw       a source of chance that a text determines
    threads    who writes to whom, and when; when a reply comes; how long a thread is
    phrases    what people write about at work (phrases.toml)
    text       subject and body of the n-th message of a thread
    letter     the octets of a message
    quota      how much of a mailbox's allowance is warm-up mail

With the database:

    correspondents   the mailboxes that write and are written to
    write            stores what is due, through intake, as any other message
    metrics          its metrics

Does not send: what it stores is planned, charged and dispatched like a client's mail. It differs by
its lane in the store (`planner.lanes.WARM_UP`) and by nothing that a receiver sees.
"""
