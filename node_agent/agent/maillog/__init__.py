"""Postfix's log, followed across rotation and understood."""
