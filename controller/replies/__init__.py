"""What receivers answer, and what it means. Pure; knows no rule and no database.

reply     a log line's reason taken apart: who spoke, which codes, the words in one line
meanings  the tables: IANA's registry of status codes, and what each code means to us
classify  a reply's class, scope and whether it is permanent; does an address stop existing?
"""

from __future__ import annotations

from controller.replies.classify import Class, Classification, classify
from controller.replies.meanings import Scope
from controller.replies.reply import Reply, Speaker, read_reason, read_reply

__all__ = [
    "Class",
    "Classification",
    "Reply",
    "Scope",
    "Speaker",
    "classify",
    "read_reason",
    "read_reply",
]
