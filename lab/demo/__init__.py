"""The demonstration: a whole fleet on one machine sends real mail and is held to its account.

`python -m lab.demo`; see lab.demo.__main__ for the options. Every part it uses is one an operator
uses too; what is the demo's own is the comparison (`compare`, pure) and what it shows.
"""
