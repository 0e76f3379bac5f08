"""Campaigns: many messages from one file.

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

In the controller:

    settings    a campaign's settings as they travel and are stored
    define      makes one, or changes its settings
    take        takes recipients, through intake
    steer       pause, resume, cancel
    status      how one stands
    service     the gRPC edge (CampaignService)

When and through which mailbox a message goes is the planner's (controller.planner.lanes).
Decision: docs/decisions/0020-templates-run-where-the-operator-is.md.
"""
