"""Groups of commands, one module each. A module imports what it needs when a command runs."""
