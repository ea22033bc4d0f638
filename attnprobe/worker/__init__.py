"""The child process that holds torch, and the host's end of the pipe."""
