"""``oracle``: fixed probabilities that a central planner worked out. A yardstick, no rival.

The launcher, which knows all demand rates and curves, puts the flows of the central optimum (MODEL section 4) on the
edges as weights before the run. What is left for the dispatcher is ``static``. Under randomness a fixed split is not
the best that can be done: it does not look at the servers, and near their caps GMSR beats it.
"""

from .static import Static


class Oracle(Static):
    """The central optimum's fixed split; centrally informed."""
