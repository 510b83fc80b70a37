"""The agents: dispatchers, servers, and the one event loop that drives them.

The state machines (``dispatcher``, ``server`` and all they are made of) are pure: they take messages and
the time, and leave messages in an outbox. ``loop`` is the only file that reads a clock or waits.
"""
