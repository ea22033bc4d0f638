"""The truth in float64, with the sums from which error bounds follow; memory O(M), CPU and CUDA."""

from attnprobe.device.reference.choice import queries
from attnprobe.device.reference.compute import at_home, compute, sparse
from attnprobe.device.reference.record import Reference

__all__ = ["Reference", "at_home", "compute", "queries", "sparse"]
