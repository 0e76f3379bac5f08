"""What operators see of health, and how they let go on what it stopped: the gRPC edge.

service    HealthService
resume     an operator's word against a verdict
"""
