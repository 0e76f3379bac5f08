"""Recipients we no longer write to: who is one, for whom, why.

  entry      what one row may say (pure)
  change     adding and removing rows, each change audited
  service    the gRPC edge

Intake and dispatch look into the table by themselves (controller.intake.facts, dispatch.sql).
"""
