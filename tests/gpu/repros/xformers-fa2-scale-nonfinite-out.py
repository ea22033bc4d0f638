"""xformers-fa2 is wrong [nonfinite]: B1 H1 M1 K8 bfloat16 scale=0 fwd

Trial 1bc65068cd02 of attnprobe. out holds 8 NaN of 8 elements, first at (0, 0, 0, 0) (explained
by: no hypothesis fits (20 tried)); lse holds 1 inf or NaN of 1 elements, first at (0, 0, 0, 0)
(explained by: no hypothesis fits (20 tried)). It was held to the numerics contract fused_tc.

Seen with torch 2.11.0+cu130, xformers 0.0.35, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python
3.12.3, Ubuntu 24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 15 trials. It was found in: B2 H4/2 M67x33 K32 bfloat16 scale=0.

The limits in the code are what attnprobe's rounding analysis of this kind of kernel allows for
these very inputs at the place that was worst; everything is compared with the definition in
float64.

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
from xformers.ops.fmha import flash
from xformers.ops.fmha import memory_efficient_attention_forward_requires_grad

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 1, 1, 1, 1, 8, 8
dtype, device = torch.bfloat16, "cuda"
if not torch.cuda.is_available():
    print("there is no CUDA device here")
    sys.exit(125)
scale = 0.0

# Drawn on the CPU from one seed: every machine has the same bits.
generator = torch.Generator().manual_seed(0)
q = torch.randn(B, Hq, Mq, K, generator=generator)
k = torch.randn(B, Hkv, Mkv, K, generator=generator)
v = torch.randn(B, Hkv, Mkv, Kv, generator=generator)
dout = torch.randn(B, Hq, Mq, Kv, generator=generator)
q, k, v, dout = (t.to(dtype).to(device) for t in (q, k, v, dout))


def attention(q, k, v):
    """The call that is examined."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = memory_efficient_attention(q, k, v, scale=scale, op=(flash.FwOp, flash.BwOp))
    return out.transpose(1, 2)


def attention_with_lse(q, k, v):
    """The same call, and the log-sum-exp of every query's scores: (B, Hq, Mq)."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out, lse = memory_efficient_attention_forward_requires_grad(
        q,
        k,
        v,
        scale=scale,
        op=flash.FwOp,
    )
    lse = lse.reshape(lse.shape[0], Hq, -1)
    return out.transpose(1, 2), lse[:, :, : out.shape[1]]


def reference(q, k, v):
    """The definition: every score in memory, in the format of its inputs; no key, no output."""
    scores = scale * q @ k.mT
    weights = scores.softmax(-1)
    return weights @ v


def log_sum_exp(q, k, v):
    """The definition, a natural logarithm; -inf where a query has no key."""
    scores = scale * q @ k.mT
    return scores.logsumexp(-1)


given = {"q": q, "k": k, "v": v}
exact = {name: t.double() for name, t in given.items()}
truth = {"out": reference(**exact)}
got = {"out": attention(**given)}
truth["lse"], got["lse"] = log_sum_exp(**exact), attention_with_lse(**given)[1]
keyless = truth["lse"].isneginf()
truth["lse"], got["lse"] = (t["lse"].masked_fill(keyless, 0.0)[..., None] for t in (truth, got))
error = {name: t.double() - truth[name] for name, t in got.items() if t is not None}
for name, e in error.items():
    relative = e.norm() / truth[name].norm()
    print(f"{name:6} largest error {e.abs().max():.3e}, relative error {relative:.3e}")

checks = [
    ("NaN and inf in out", (~error["out"].isfinite()).sum(), 0),
    ("NaN and inf in lse", (~error["lse"].isfinite()).sum(), 0),
]
wrong = 0
for what, seen, limit in checks:
    good = bool(seen <= limit)
    wrong += not good
    print(f"{'right' if good else 'WRONG'}  {what}: {float(seen):.3e}, at most {limit:.3e}")
sys.exit(1 if wrong else 0)
