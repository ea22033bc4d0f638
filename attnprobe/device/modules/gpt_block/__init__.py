"""One training step of the small GPT (device/training/model.py): forward, backward, AdamW.

Three blocks of causal attention and SwiGLU over B sequences of Mq tokens, under autocast to the case's
dtype where that is bfloat16. A variant is `BACKEND+SWIGLU`: the backend that computes attention, and
`packed` (gate and up in one matmul) or `separate`.
"""

_ATTENTION = (
    "eager",
    "sdpa-math",
    "sdpa-flash",
    "sdpa-mem-efficient",
    "sdpa-cudnn",
    "sdpa-default",
    "xformers-default",
    "xformers-cutlass",
    "xformers-fa2",
    "xformers-fa3",
    "flash-attn-2",
    "flash-attn-3",
    "flex",
)
VARIANTS = tuple(
    f"{attention}+{swiglu}" for attention in _ATTENTION for swiglu in ("separate", "packed")
)
