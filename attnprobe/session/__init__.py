"""A session: trials in, records out, each appended to a file the moment it exists.

The file holds JSON lines: a header, then environment, backend, record and note lines in any order, and
an end line when the run was not cut short. Every view of a session is a reading of that file.
"""

from attnprobe.session.asking import Asks, FollowUp
from attnprobe.session.journal import Journal
from attnprobe.session.reader import load
from attnprobe.session.runner import DEADLINE_S, Progress, never, run

__all__ = ["DEADLINE_S", "Asks", "FollowUp", "Journal", "Progress", "load", "never", "run"]
