"""Receiving mail servers of the lab: what a provider's MX does, and an exact record of what it saw.

One process per provider (`python -m lab.receivers`). They answer as a rules file says, which can be
changed while they run. They judge nothing: `lab.verify` does that afterwards from the records.
"""
