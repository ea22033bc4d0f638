"""The truth in float64, with the sums from which error bounds follow; memory O(M), CPU and CUDA."""

from attnprobe.device.reference.choice import home, queries
from attnprobe.device.reference.compute import compute, sparse
from attnprobe.device.reference.record import Reference

__all__ = ["Reference", "compute", "home", "queries", "sparse"]
