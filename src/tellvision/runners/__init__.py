"""Work on many items, mapped over workers in the order of the input: here, in processes, on a Ray cluster.

What is wrong with one item becomes a `Skip` and never ends the rest; `stages` keeps what comes out.
"""

from tellvision.runners.cluster import Cluster
from tellvision.runners.mapping import ProgressCallback, map_items, no_progress
from tellvision.runners.work import Result, in_worker

__all__ = ["Cluster", "ProgressCallback", "Result", "in_worker", "map_items", "no_progress"]
