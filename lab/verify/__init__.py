"""Judges recorded messages as a receiver would: DKIM, SPF, DMARC, FCrDNS, by third-party libraries.

After the fact and from the records alone, asking the lab's DNS. `judge` does one, `judge_all` many.
"""
