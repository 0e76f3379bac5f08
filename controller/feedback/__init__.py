"""What came back for a message after it was sent: replies, late bounces, unsubscribes, complaints.

  entry      what one row may say, and which message it names (pure)
  take       keeps rows and does what follows: suppressions, audit
  service    the gRPC edge

Whoever wants to know whether a recipient answered reads table `feedback`: rows are (message, kind),
and are there when the call that told them is answered. How the mail that says so comes in is not
the matter of this package.
"""
