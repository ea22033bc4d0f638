"""cuDNN on Blackwell is reported to be wrong for models with fewer than eight key heads.

Generation with 2 or 4 key heads loses many points of accuracy, deterministically, and only after some
tokens, so that one query against a growing cache is what is tried here, beside a prompt. What it takes
in a single call was not known when this was written.
Source: https://github.com/pytorch/pytorch/issues/193893 (B200; sm_120 is right).
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Hardware, Versions
from attnprobe.known_bugs._readings import wrong

DECODE = Case(
    B=64,
    Hq=28,
    Hkv=4,
    Mq=1,
    Mkv=517,
    K=128,
    Kv=128,
    device="cuda",
    passes="fwd",
    family="outlier-channels",
)
PROMPT = DECODE.edit(B=2, Mq=517, mask=masks.parse("causal(align=top-left)"))

BUG = KnownBug(
    title="cuDNN on Blackwell: wrong for fewer than 8 key heads",
    sources=("pytorch#193893",),
    versions=(Versions("torch", "2.5"),),
    hardware=Hardware((10,)),
    suspects=(
        *ask(DECODE, "sdpa-cudnn"),
        *ask(DECODE, "sdpa-cudnn", edits={"Hq": 14, "Hkv": 2}),
        *ask(PROMPT, "sdpa-cudnn"),
    ),
    controls=ask(DECODE, "sdpa-cudnn", edits={"Hq": 32, "Hkv": 8}),
    reading=wrong("accuracy", "nonfinite"),
    way_out="torch.backends.cuda.enable_cudnn_sdp(False)",
)
