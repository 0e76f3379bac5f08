"""The durable spool: what the node was entrusted with and what it has to tell, in SQLite."""
