"""Everything that imports torch. Runs only in the child: standard library and torch, nothing else."""
