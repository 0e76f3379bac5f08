"""How the controller is reached: gRPC over mTLS, metrics over HTTP, the exit-address echo.

`controller.server` puts these together with the store, the services and the loops.
"""
