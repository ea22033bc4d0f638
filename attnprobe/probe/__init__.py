"""Facts about the machine that need no torch: distributions on disk, NVML, the operating system.

Every probe is guarded: what cannot be found out becomes a gap with its reason, never an exception.
"""
