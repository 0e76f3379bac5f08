"""Sessions: the controller's end of NodeService.Session, one stream for each node.

service      the stream: reading, writing, ending
admission    who may open a session, and what a beginning session means for the node's messages
session      what is known of one open session
inbox        what was read: heartbeats, and the rest in order
outbox       what is to be written, urgent things first
registry     all sessions of this process
incoming     which message of the node goes to which of the files below; heartbeats go by themselves
heartbeats, spec_delivery, dispatch_answers, event_reports, probe_reports, releases, cancels
pusher       what changed in the database and must be told to nodes
"""
