-- write --
-- Adds an entry: who (actor), what (action), on what (subject, kind/id), why, and the evidence.
INSERT INTO audit (actor, action, subject, reason, evidence)
VALUES (%(actor)s, %(action)s, %(subject)s, %(reason)s, %(evidence)s)
