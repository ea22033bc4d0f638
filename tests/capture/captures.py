"""Captures as they are seen in common scripts, made by hand; the golden file is `TRAINING`, encoded."""

from __future__ import annotations

from attnprobe.core.capture import Call, Capture, CapturedMask, Gap, TensorFacts
from attnprobe.core.mask import NONE
from attnprobe.masks.causal import causal


def tensor(shape: tuple[int, ...], order: tuple[int, ...] = (), **facts: object) -> TensorFacts:
    """A tensor that is contiguous in the order of dims given, outermost first."""
    strides, step = [0] * len(shape), 1
    for dim in reversed(order or range(len(shape))):
        strides[dim], step = step, step * shape[dim]
    known = {"stride": tuple(strides), "dtype": "bfloat16", "slots": step, **facts}
    return TensorFacts(shape, **known)  # type: ignore[arg-type]


def call(
    shape: tuple[int, ...] = (8, 12, 1024, 64),
    keys: tuple[int, ...] = (),
    order: tuple[int, ...] = (0, 2, 1, 3),
    grad: bool = True,
    **fields: object,
) -> Call:
    """A call of SDPA whose q, k and v come from projections."""
    q = tensor(shape, order, requires_grad=grad)
    k = tensor(keys or shape, order, requires_grad=grad)
    given = {"api": "sdpa", "where": "model.py:52", "count": 1, "backward": int(grad), **fields}
    return Call(q=q, k=k, v=k, **given)  # type: ignore[arg-type]


def mask(kind: str, form: str = "bool", **fields: object) -> CapturedMask:
    return CapturedMask(kind=kind, form=form, **fields)  # type: ignore[arg-type]


CAUSAL = mask("causal", "flag", mask=causal("top-left"))

TRAINING = Capture(
    script="train.py",
    steps=10,
    calls=(
        call(count=120, is_causal=True, mask=CAUSAL, grad_enabled=True, training=True),
        call(count=120, is_causal=True, mask=CAUSAL, where="model.py:70", grad_enabled=True),
        call(
            (4, 16, 512, 64),
            count=60,
            where="bert.py:12",
            mask=mask(
                "key-padding",
                mask=NONE,
                shape=(4, 1, 1, 512),
                broadcast="B,1,1,N",
                lengths=(512, 300, 128, 77),
            ),
        ),
    ),
    gaps=(Gap("flash_attn", "imported before the hooks"),),
)
"""Two places with one case, and a padded encoder."""
