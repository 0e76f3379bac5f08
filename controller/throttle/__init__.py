"""What receivers' words lead to: slow-downs, suspensions, suppressions; and how they end.

    heard     a reply's meaning and the rule it fires (pure)
    follow    does what the rule says, in the transaction that stores the reply
    breaker   a pair's circuit breaker (pure)
    run       what runs of refusals do to breakers
    trials    one message for a breaker that is half open
    turns     one message after the other for slowed receivers that are in no table
    alone     who changes pairs does it alone, and waits for nobody crosswise
    recovery  ends what is over
    reload    takes an operator's rules into use when their file changes
    metrics   counts
    pace      a slowed pair as a pure state machine: rate by now, slower on a refusal, twice as fast
              after each quiet hour

For the planner: the view `rate_limit` (scope, provider, subject, per_hour) says how much each pair
may send an hour now. scope is `provider-egress` (subject: an egress id) or `provider-domain`
(subject: a sending domain); per_hour 0 means suspended; a pair that is not in it is not limited.
`queries/throttle.sql` has it as `rate_limits`. A message's `provider` is NULL until it was looked
for and `unknown` where it could not be found: neither is ever in the view.
"""
