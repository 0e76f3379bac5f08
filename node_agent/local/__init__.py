"""How the processes of one node talk: framing and typed clients of the two unix sockets."""
