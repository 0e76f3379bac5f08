"""When is a campaign through, under today's limits, and what limits it?

`situation` is what is known now, `read` takes it from the database (`draft`: with a campaign that
was not started), `run` goes on from there with the planner's own choice, hour by hour
(docs/decisions/0023). Nothing that is written stays.
"""
