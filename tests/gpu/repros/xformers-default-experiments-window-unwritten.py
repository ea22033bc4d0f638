"""xformers-default is wrong [unwritten] (unwritten): B2 H4/2 M66x130 K64 bfloat16 causal(ali...

Trial 9bcdf2cc8e8c of attnprobe. dq is NaN when memory that nobody wrote to is NaN: 256 of 33792
elements, first at (1, 3, 52, 0); dk is NaN when memory that nobody wrote to is NaN: 8192 of
33280 elements, first at (1, 1, 0, 0). It was held to the numerics contract mem_efficient.

Seen with torch 2.11.0+cu130, xformers 0.0.35, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python
3.12.3, Ubuntu 24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

The case was not made smaller: asked again, the case it shrank to ended otherwise: measured pass
instead of wrong unwritten.

Exit status: 1 while it is wrong, 0 once it is right, 125 where neither can be told.
"""

import os
import sys


def ended(kind, error, trace):
    """Exit status 125 where an exception keeps it from being told."""
    sys.__excepthook__(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(125)  # not sys.exit: tearing down a lost CUDA context aborts


sys.excepthook = ended

import torch
from xformers.ops import memory_efficient_attention
from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightMask

B, Hq, Hkv, Mq, Mkv, K, Kv = 2, 4, 2, 66, 130, 64, 64
dtype, device = torch.bfloat16, "cuda"
if not torch.cuda.is_available():
    print("there is no CUDA device here")
    sys.exit(125)
scale = K**-0.5

# Drawn on the CPU from one seed: every machine has the same bits.
generator = torch.Generator().manual_seed(0)
q = torch.randn(B, Hq, Mq, K, generator=generator)
k = torch.randn(B, Hkv, Mkv, K, generator=generator)
v = torch.randn(B, Hkv, Mkv, Kv, generator=generator)
dout = torch.randn(B, Hq, Mq, Kv, generator=generator)
q, k, v, dout = (t.to(dtype).to(device) for t in (q, k, v, dout))


def attends(i, j, Mq, Mkv):
    """Whether query i may attend key j: causal(align=bottom-right)."""
    return j <= i + Mkv - Mq


i, j = torch.arange(Mq, device=device)[:, None], torch.arange(Mkv, device=device)
allowed = attends(i, j, Mq, Mkv)[None, None]

attn_bias = LowerTriangularFromBottomRightMask()


def attention(q, k, v):
    """The call that is examined."""
    k, v = (t.repeat_interleave(Hq // Hkv, 1) for t in (k, v))
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = memory_efficient_attention(q, k, v, attn_bias=attn_bias)
    return out.transpose(1, 2)


def run(function, dout=dout, wanted=("q", "k", "v"), **tensors):
    """The output, and the gradients of what wants one."""
    leaves = {name: t.detach().requires_grad_(name in wanted) for name, t in tensors.items()}
    out = function(**leaves)
    if wanted and out.requires_grad:
        out.backward(dout.to(out.dtype))
    return {"out": out.detach(), **{f"d{name}": leaves[name].grad for name in wanted}}


given = {"q": q, "k": k, "v": v}
# Memory that torch hands out without writing to it holds NaN: a result that is NaN was not written.
plain = run(attention, **given)
torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True
filled = run(attention, **given)
checks = [
    (f"elements of {name} that nobody wrote", (filled[name].isnan() & ~plain[name].isnan()).sum(), 0)
    for name in plain
]
torch.use_deterministic_algorithms(False)
for name in plain:  # freed blocks of the results' sizes, full of a number that shows
    for size in (plain[name].numel() // 2, plain[name].numel(), 2 * plain[name].numel()):
        litter = [torch.full((size,), 12345.0, dtype=t, device=device) for t in (dtype, torch.float32)]
        del litter
littered = run(attention, **given)
for name in plain:
    what = f"elements of {name} that change with what freed memory holds"
    checks.append((what, (littered[name] != plain[name]).sum(), 0))
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"it ran; {wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)
