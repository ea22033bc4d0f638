"""attnprobe tells what attention does on this machine."""

__version__ = "0.1.0"
