"""cuDNN's backward gives NaN in dq where Mkv % 128 is 64, a mask is given and logits are very negative.

The padded half of the last tile of 128 keys is scored 0 instead of -inf; with a log-sum-exp below -88.7
its weight e^(0 - lse) overflows float32, and inf times the padded zeros is NaN. `is_causal` without a
mask tensor is right. Preference training diverges with it, as cuDNN is torch's first choice on Hopper.
Source: https://github.com/pytorch/pytorch/issues/196678 and https://github.com/huggingface/trl/issues/7181.
"""

from __future__ import annotations

from attnprobe import masks
from attnprobe.core.case import Case
from attnprobe.known_bugs._bug import KnownBug, ask
from attnprobe.known_bugs._ranges import Hardware, Versions
from attnprobe.known_bugs._readings import wrong

CASE = Case(
    B=1,
    Hq=1,
    Hkv=1,
    Mq=704,
    Mkv=704,
    K=64,
    Kv=64,
    device="cuda",
    mask=masks.parse("causal(align=top-left)"),
    mask_form="dense-bool",
    family="very-negative-lse",
)

BUG = KnownBug(
    title="cuDNN's backward: NaN in dq with a mask, Mkv % 128 = 64 and a log-sum-exp below -88.7",
    sources=("pytorch#196678", "huggingface/trl#7181"),
    versions=(Versions("torch", "2.11"),),
    hardware=Hardware((9,)),
    suspects=ask(CASE, "sdpa-cudnn"),
    controls=ask(CASE, "sdpa-cudnn", edits={"Mq": 640, "Mkv": 640}),
    reading=wrong("nonfinite"),
    way_out="torch.backends.cuda.enable_cudnn_sdp(False), or pad the keys to a multiple of 128",
)
