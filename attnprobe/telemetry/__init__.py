"""The machine while it is measured: the host looks on while the child times.

`Attended` is a worker whose timed trials say under which conditions they were timed, and whose numbers
are withheld where those moved.
"""

from attnprobe.telemetry.attended import Attended

__all__ = ["Attended"]
