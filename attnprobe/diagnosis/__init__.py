"""From a user's attention calls to findings: suspect, predict, experiment, judge.

Rules are files of `pitfalls/`; this is what is common to them. Everything here is made of records: a
session that holds the suspicions and the trials holds the findings.
"""

from __future__ import annotations

from attnprobe.diagnosis.alternatives import best
from attnprobe.diagnosis.apart import apart
from attnprobe.diagnosis.judge import findings
from attnprobe.diagnosis.suspects import suspicions

__all__ = ["apart", "best", "findings", "suspicions"]
