"""One file a command: arguments, a call, printing; no logic."""
