"""gmsr: a distributed testbed for load balancing with workload-dependent service rates.

The four parts, each a folder at the top of the repository:

- ``gmsr.topology``: what is to be emulated (graph, curves, files) and what theory says of it
- ``gmsr.agents``: dispatcher and server state machines, policies, workloads, the one event loop
- ``gmsr.broker``: the edge between two agents: wire format, sockets, counting; never a process
- ``gmsr.launch``: the command line, placement of processes, journals, results

In a notebook: ``gmsr.load(RUN)``.
"""

TYPE_CHECKING = False  # typing's, which every agent would load with this file
if TYPE_CHECKING:
    from os import PathLike

    from gmsr.launch.record.load import Run


def load(run: "str | PathLike[str]") -> "Run":
    """Open a run directory: its summary, its journals as tables, the run over time.

    Raises gmsr.topology.errors.UserError if it is none. Loads numpy and Arrow, which nothing else here does.
    """
    from gmsr.launch.record.load import load as read

    return read(run)
