"""How a part of the backward pass finds the call that it belongs to."""

OWNER = "attnprobe"
"""Key in an autograd node's metadata."""
