"""Looks through each egress from time to time: does it lead out, and with which address?"""
