"""The mem-efficient kernel is reported to be wrong for stride-0 keys where Mkv % 32 is 1, with a mask.

Seen with bfloat16, head dim 512 and keys shared by expansion; one key more, the math kernel, and a copy
of the keys are right. The report was closed as needing a reproduction: it depends on the values too.
Source: https://github.com/pytorch/pytorch/issues/191937.
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=4,
    Hq=8,
    Hkv=8,
    Mq=97,
    Mkv=97,
    K=512,
    Kv=512,
    device="cuda",
    layout="expanded-kv",
    mask=masks.parse("causal(align=top-left)"),
    mask_form="dense-bool",
    passes="fwd",
    family="outlier-channels",
)

BUG = KnownBug(
    title="mem-efficient: wrong output for expanded keys, a mask and Mkv % 32 = 1",
    sources=("pytorch#191937",),
    versions=(Versions("torch", "2.5"),),
    suspects=ask(CASE, "sdpa-mem-efficient"),
    controls=ask(CASE, "sdpa-mem-efficient", edits={"Mq": 98, "Mkv": 98}),
    reading=wrong("accuracy", "nonfinite"),
    way_out="copy expanded keys and values with .contiguous()",
)
