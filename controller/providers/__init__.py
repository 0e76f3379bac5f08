"""Providers: who runs a recipient's mailbox, found by the host its domain's mail goes to.

table   names of MX hosts -> provider (`mx.toml`, and the operator's over it)
lookup  asks the DNS for a domain's MX hosts, with what the answer is worth and for how long
cycle   finds the providers of waiting messages' domains; never makes anything wait
"""
