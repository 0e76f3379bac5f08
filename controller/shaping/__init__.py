"""Shaping rules: a receiver's words, and what follows from them.

    rule      one rule: what it matches, what it does, how it proves itself
    read      rule files (TOML); every mistake at once, with its line
    toml_lines  where in a file something stands
    book      all layers together: which rule speaks first
    proof     samples fire, near misses do not, no rule hides another
    proved    a book that is fit for use
    reference writes docs/reference/shaping.md

`rules.toml` is the shipped layer. What the actions become in the database is `controller.throttle`.
"""
