"""A padded batch computes attention on its padding.

**What happens.** A step takes as long as if every sequence were as long as the longest. With lengths as
natural text has them most of the work is for nothing.

**Why.** A dense mask hides scores after they were computed: B * Mq * Mkv of them, where the sequences
have sum(q_i * kv_i). The mask itself is read too, and keeps flash away.

**Experiment.** The same sequences with their tokens one behind the other: `varlen_attn` in 16 bits on a
GPU, one call per sequence elsewhere. Packing is done once per batch and not timed.

**Remedy.** `varlen_attn` or flash_attn_varlen_func with cu_seqlens, xFormers' BlockDiagonalMask, flex
with a document mask, nested tensors. If the layers must stay padded, batches of similar lengths.

**Versions.** All. `varlen_attn` is in torch from 2.10; the tutorial of nested tensors saw a factor of
5.65 on an A100.
"""

from __future__ import annotations

from attnprobe.core.diagnosis import Experiment, Prediction
from attnprobe.diagnosis.rule import Pitfall
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls._grid import DECODING

DENSE = ("sdpa-default", "sdpa-cudnn", "sdpa-mem-efficient")
"""Fused kernels that score what a dense mask hides; what is packed is compared with nothing unfused."""
NOTABLE = 1.15
"""Padding of less than a seventh is the price of simple code."""
MASKED = 2.0
"""What reading a dense mask costs at most: 0.079 for 0.044 ms in cuDNN (H200, M 2048)."""


def suspect(here: Situation) -> str | None:
    """Only of what scores the padding: flex and the packed calls leave it out."""
    case = here.case
    if case.lengths is None or case.storage != "padded" or case.Mq <= DECODING:
        return None
    if here.backend not in DENSE or not sum(case.lengths.q) or _tokens(here) < NOTABLE:
        return None
    wasted = 1 - 1 / _pairs(here)
    return (
        f"{wasted:.0%} of the scores belong to padding: {_spelled(case.lengths.kv)} of {case.Mkv}"
    )


def predict(here: Situation) -> Prediction:
    """Between what is linear in the tokens and what is quadratic, with a mask on top."""
    return Prediction(
        "time",
        _tokens(here),
        MASKED * _pairs(here),
        f"{_tokens(here):.3g} times the tokens, {_pairs(here):.3g} times the pairs, and a mask",
    )


def experiment(here: Situation) -> Experiment:
    """One edit: who calls, with the tokens packed."""
    return Experiment(here.arm(), here.arm("mended/padded-lengths"))


def _tokens(here: Situation) -> float:
    assert here.case.lengths is not None  # `suspect` has looked
    return here.case.B * here.case.Mq / sum(here.case.lengths.q)


def _pairs(here: Situation) -> float:
    case = here.case
    assert case.lengths is not None  # `suspect` has looked
    real = sum(q * kv for q, kv in zip(case.lengths.q, case.lengths.kv, strict=True))
    return case.B * case.Mq * case.Mkv / max(1, real)


def _spelled(lengths: tuple[int, ...]) -> str:
    return ", ".join(map(str, lengths[:6])) + (", ..." if len(lengths) > 6 else "")


PITFALL = Pitfall(
    code="AP057",
    severity="high",
    suspect=suspect,
    predict=predict,
    experiment=experiment,
    fix="varlen_attn(q, k, v, cu_seq, cu_seq, max_len, max_len)  # q, k, v: (tokens, H, K)",
    references=(
        "torch@2.13.0:torch/nn/attention/varlen.py",
        "https://docs.pytorch.org/tutorials/intermediate/transformer_building_blocks.html",
    ),
)
