"""The planner: who sends what, and when. Gives waiting messages slots of mailboxes, within limits.

Pure, with the time as an argument:

    calendar   local days and fixed hours
    windows    when a mailbox may send, on real days
    slots      when its next slot is
    limits     the limits, the accounts of the ledger they are kept in, their caps
    budgets    what is left of each, and which one binds
    warm_up    how much something warming may send, and how it goes on
    slowed     what health leaves of limits
    warm_up_caps   which limit that lowers, and to what
    boxes      a mailbox, its slot, waiting messages
    shares     how much of a cycle each client gets
    seats      mailboxes and their lines of the ledger, while a choice is made
    assignment what a choice comes to, and which accounts it looks at
    choice     slots pull messages: assignments and the slots that follow

With the database:

    settings, special   what of the inventory it follows, what receivers ask for
    ledger     charging and refunding
    unplan     taking a choice back
    reasons    writes into messages why they wait
    client_round, cycle   one client's turn in a transaction; all clients in turn
    metrics    its metrics

Does not send anything and knows no node: dispatch takes what is `scheduled`.
"""
