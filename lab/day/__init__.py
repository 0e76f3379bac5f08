"""A day of a whole fleet in minutes: receivers hold hidden limits, and the fleet has to find them.

The clock of the controller and of its PostgreSQL goes many times too fast; everything else is real.
"""
