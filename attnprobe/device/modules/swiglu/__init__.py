"""The feed-forward of Llama: w2(silu(w1 x) * (w3 x)) over B * Mq tokens.

The hidden size is two thirds of 4D, rounded up to a multiple of 256
(https://github.com/meta-llama/llama/blob/main/llama/model.py, `FeedForward`).

- `separate`: three matmuls;
- `packed`: w1 and w3 in one matmul, then `chunk`;
- `xformers`: `xformers.ops.SwiGLU`'s operator, where the installed release still has it.

Each with `-compiled` too: the same through `torch.compile`.
"""

_EAGER = ("separate", "packed", "xformers")
VARIANTS = (*_EAGER, *(f"{name}-compiled" for name in _EAGER))
