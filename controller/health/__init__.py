"""How well do receivers and recipients take a sender's mail, and what follows? Pure.

beta       the beta distribution: how sure is a rate?
counts     what is counted, over which windows
rates      the rates that are judged, as estimates
bands      good, watch, slowed, paused, quarantined; how one becomes another (hysteresis)
score      0 to 100, with its parts
judge      all of it for one mailbox, egress or domain
"""
