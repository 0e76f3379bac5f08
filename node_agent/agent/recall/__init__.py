"""Recall: unsent mail comes out of Postfix's queue and back to the controller."""
