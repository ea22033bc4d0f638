"""The model is wrapped in DistributedDataParallel."""
