"""What nodes report of messages.

fold       what events make of a message, pure; `progress`: of many, report by report
report     a report and its events as rows, pure
reports    stores many reports in one transaction, with all that follows
words      what receivers said in them, and what follows
recorder   for all sessions of a process: the reports of one moment together
"""
