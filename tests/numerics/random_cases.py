"""Random attention cases whose inputs provoke rounding in different ways."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.case import Case, Lengths
from attnprobe.core.mask import NONE, Mask
from attnprobe.core.score import Bias, Score
from attnprobe.device.inputs import Inputs, make

FAMILIES = (
    "normal",
    "uniform",
    "large",
    "small",
    "outlier",
    "constant-key",
    "one-hot",
    "cancel",
    "position",
    "sink",
    "repeated",
)
KINDS = (
    "none",
    "causal-tl",
    "causal-br",
    "window",
    "padding",
    "empty-rows",
    "bias-BHMN",
    "bias-B1MN",
    "bias-1HMN",
    "bias-11MN",
    "bias-BH1N",
)


def draw(
    seed: int,
    dtype: str,
    device: str = "cpu",
    family: str = "",
    kind: str = "",
    top: int = 200,
    score: Score | None = None,
) -> Inputs:
    """A random case; the same arguments give the same tensors.

    Args:
        seed: Chooses everything that is not given.
        dtype: Element type.
        device: Where the tensors live.
        family: How q, k and v are distributed.
        kind: Mask or bias.
        top: Largest length.
        score: Replaces the score that `kind` would give.
    """
    g = torch.Generator().manual_seed(seed)

    def pick(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, (1,), generator=g))

    family = family or FAMILIES[pick(0, len(FAMILIES) - 1)]
    kind = kind or KINDS[pick(0, len(KINDS) - 1)]
    B, Hkv, G = pick(1, 2), pick(1, 2), pick(1, 3)
    K = (8, 16, 32, 40, 64)[pick(0, 4)]
    Mq, Mkv = pick(1, top), pick(2, top)
    mask, lengths = NONE, None
    own = Score(scale=(None, None, 0.3)[pick(0, 2)])
    match kind.split("-"):
        case ["causal", "tl"]:
            mask = Mask(None, 0, "top-left")
        case ["causal", "br"]:
            mask, Mq, Mkv = Mask(None, 0, "bottom-right"), min(Mq, Mkv), max(Mq, Mkv)
        case ["window"]:
            mask, Mq, Mkv = (
                Mask(pick(0, 40), pick(0, 9), "bottom-right"),
                min(Mq, Mkv),
                max(Mq, Mkv),
            )
        case ["padding"]:
            lengths = Lengths((Mq,) * B, tuple(pick(1, Mkv) for _ in range(B)))
        case ["empty", "rows"]:
            mask, Mq, Mkv = Mask(None, 0, "bottom-right"), max(Mq, Mkv), min(Mq, Mkv)
        case ["bias", shape]:
            flags = {n: n in shape for n in "BHMN"}
            own = replace(own, bias=Bias(**flags, requires_grad=True))
    case = Case(
        *(B, Hkv * G, Hkv, Mq, Mkv, K, K),
        dtype=dtype,
        device="cpu",
        mask=mask,
        score=own if score is None else score,
        lengths=lengths,
        seed=seed,
        name=f"{family}/{kind}",
    )
    inputs = _shape(family, make(replace(case, dtype="float32")), g)
    to = {"dtype": getattr(torch, dtype), "device": device}
    return Inputs(
        case=replace(case, device=device),
        q=inputs.q.to(**to),
        k=inputs.k.to(**to),
        v=inputs.v.to(**to),
        dout=inputs.dout.to(**to),
        bias=None if inputs.bias is None else inputs.bias.to(**to),
    )


def _shape(family: str, x: Inputs, g: torch.Generator) -> Inputs:
    """Turns normal tensors into those of a family."""
    q, k, v = x.q.clone(), x.k.clone(), x.v.clone()
    K, groups = x.case.K, x.case.groups
    match family:
        case "uniform":
            q, k, v = (torch.rand(t.shape, generator=g) for t in (q, k, v))
        case "large":
            q, k = 6 * q, 6 * k
        case "small":  # logits so close that every P rounds alike
            q = 1e-3 * q
        case "outlier":
            for t in (q, k, v):
                t += (
                    (torch.rand(t.shape, generator=g) < 0.01)
                    * torch.randn(t.shape, generator=g)
                    * 10
                )
            k[..., 0] += 4
        case "constant-key":
            k = k[:, :, :1].expand_as(k).clone()
        case "one-hot":
            at = torch.randint(0, k.shape[2], (*q.shape[:3], 1), generator=g).expand(-1, -1, -1, K)
            q = 6 * torch.gather(k.repeat_interleave(groups, 1), 2, at) / max(1.0, math.sqrt(K) / 4)
        case "cancel":
            q, v = 0.3 * q, _alternating(v) * (50 + 0.1 * v)
        case "position":
            bits = torch.arange(v.shape[2])[:, None] // 2 ** (torch.arange(v.shape[3]) % 8)
            q, v = 0.2 * q, (bits % 2).float().expand(v.shape).clone()
        case "sink":
            k[:, :, 0] *= 3
            q = q + 0.5 * k[:, :, :1].repeat_interleave(groups, 1)
        case "repeated":  # every key occurs about four times
            k = k[:, :, torch.arange(k.shape[2]) // 4].clone()
    return replace(x, q=q, k=k, v=v)


def _alternating(v: Tensor) -> Tensor:
    return (1.0 - 2.0 * (torch.arange(v.shape[2]) % 2))[:, None]
