"""gmsr: a distributed testbed for load balancing with workload-dependent service rates.

The four parts, each a folder at the top of the repository:

- ``gmsr.topology``: what is to be emulated (graph, curves, files) and what theory says of it
- ``gmsr.agents``: dispatcher and server state machines, policies, workloads, the one event loop
- ``gmsr.broker``: the edge between two agents: wire format, sockets, counting; never a process
- ``gmsr.launch``: the command line, placement of processes, journals, results
"""
