"""cuDNN's backward gives NaN in dk and dv for a single query and very negative logits.

Seen with 128 keys and not with 97, with and without the deterministic algorithm; forward and dq are
right. It is another bug than that of the last tile, whose fix is in the same release.
Source: https://github.com/NVIDIA/cudnn-frontend/issues/1072 (cuDNN 9.25.1 and 9.26.0 on an H200).
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Hardware, Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(B=1, Hq=2, Hkv=2, Mq=1, Mkv=128, K=64, Kv=64, device="cuda", family="very-negative-lse")

BUG = KnownBug(
    title="cuDNN's backward: NaN in dk and dv for one query and a very negative log-sum-exp",
    sources=("NVIDIA/cudnn-frontend#1072",),
    versions=(Versions("cudnn", "9.25"),),
    hardware=Hardware((9,)),
    suspects=ask(CASE, "sdpa-cudnn"),
    controls=ask(CASE, "sdpa-cudnn", edits={"family": "normal"}),
    reading=wrong("nonfinite"),
    way_out="torch.backends.cuda.enable_cudnn_sdp(False)",
)
