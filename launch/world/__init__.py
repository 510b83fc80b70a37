"""The deterministic world: real dispatchers and servers in one process, under virtual time, from one seed."""
