"""The broker is how two agents talk to each other: wire format, sockets, counting, delays.

It is a layer inside every agent. There is no broker process: on a job's way from its dispatcher to a server
and back there is one ZeroMQ connection and nothing else.
"""
