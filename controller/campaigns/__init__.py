"""Campaigns: many messages from one file. What is written, checked and made into mail.

Pure, and done where the operator is (the controller runs no template):

    schema      what a campaign file may say
    rules       what only the whole file can show: follow-ups in a circle, two texts at once
    load        reads the file, all of its mistakes at once
    bounds      how much a template may do
    sandbox     Jinja2 within those bounds
    templates   templates with their places, unknown columns, rendering
    recipients  rows of CSV and JSONL, each with what is wrong with it
    letter      a rendered message as RFC 5322 content
    prepare     every message of every recipient, or what is wrong

Decision: docs/decisions/0020-templates-run-where-the-operator-is.md.
"""
