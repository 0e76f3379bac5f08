"""The planner: who sends what. Gives waiting messages a mailbox and its egress, within the caps.

    choice   the pure core: messages, mailboxes and allowances in; assignments and a cursor out
    allowance  how much a mailbox or egress may still send today, and why not more
    ledger   charging and refunding what is used of each cap
    cycle    one round over all clients, in transactions; says in a sentence what it did and why
    metrics  its metrics

First planner: round robin over the client's mailboxes; a message goes as soon as its time comes.
Does not send anything and knows no node: dispatch takes what is `scheduled`.
"""
