"""What host and child say to each other: one JSON object per line, over two private pipes.

Host to child: `{"do": NAME, ...}`; child to host, any number of `{"phase": NAME}` (what it is doing
now, so that a death certificate can say so) and then exactly one `{"answer": ...}`. No tensor crosses.

| do | carries | answer |
| --- | --- | --- |
| facts | | `Torch` + loaded libraries (device/facts.py) |
| claims | backends | list of `Claim`, by backend |
| trial | trial | `{"outcome", "phases"}` |

A child whose device context is lost adds `"retire": true` to its last answer and leaves.
An answer to `facts` or `claims` that could not be given is an `Outcome` (usually `Raised`) instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attnprobe import masks
from attnprobe.core.jsonio import decode, encode
from attnprobe.core.mask import Mask
from attnprobe.core.outcome import Outcome
from attnprobe.core.trial import Trial


def trial_request(trial: Trial) -> dict[str, Any]:
    """The message that asks for one trial."""
    return {"do": "trial", "trial": encode(trial)}


def read_trial(message: Mapping[str, Any]) -> Trial:
    """The trial in a message, rebuilt in the child."""
    return decode(Trial, message["trial"], {Mask: masks.parse})


def read_outcome(answer: Mapping[str, Any]) -> tuple[Outcome, dict[str, float]]:
    """The outcome in the answer to a trial, and the child's seconds per phase."""
    outcome = decode(_Answered, {"outcome": answer["outcome"]}, {Mask: masks.parse}).outcome
    return outcome, dict(answer["phases"])


@dataclass(frozen=True)
class _Answered:
    outcome: Outcome
