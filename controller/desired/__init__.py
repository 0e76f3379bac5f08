"""Desired state: what a node should run, built from the database as one NodeSpec.

`parts` names what it is made of, `build` is pure, `read` fetches and unseals.
"""
