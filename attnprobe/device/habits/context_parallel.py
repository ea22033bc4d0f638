"""The sequence is sharded over GPUs with torch's context_parallel."""
