"""xformers-cutlass is wrong [lse_empty] (ring): B1 H1 M9x8 K4 float32 causal(align=bottom-ri...

Trial 6413b9ec753f of attnprobe. rows that attend no key of a chunk have the log-sum-exp 2.50706
and the output -0.587766; merged, they spoil the other chunks, which takes -inf and 0 to avoid:
error 8.235e-01 at [0, 0, 0, 0], at most 6.947e-07. It was held to the numerics contract
mem_efficient.

Seen with torch 2.11.0+cu130, xformers 0.0.35, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python
3.12.3, Ubuntu 24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 50 trials. It was found in: B2 H4 M512x300 K64 float32
causal(align=bottom-right) fwd.

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
from xformers.ops.fmha import cutlass
from xformers.ops.fmha import memory_efficient_attention_forward_requires_grad
from xformers.ops.fmha.attn_bias import LowerTriangularFromBottomRightMask

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 1, 1, 9, 8, 4, 4
dtype, device = torch.float32, "cuda"
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
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = memory_efficient_attention(
        q,
        k,
        v,
        attn_bias=attn_bias,
        op=(cutlass.FwOp, cutlass.BwOp),
    )
    return out.transpose(1, 2)


# Partial results of one chunk of queries with several chunks of keys, merged by their log-sum-exp.


def late(q, k, v):
    """Causal attention to fewer keys than queries: the output and its log-sum-exp, (B, Hq, Mq)."""
    Mq, Mkv = q.shape[2], k.shape[2]
    attn_bias = LowerTriangularFromBottomRightMask()
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out, lse = memory_efficient_attention_forward_requires_grad(
        q,
        k,
        v,
        attn_bias=attn_bias,
        op=cutlass.FwOp,
    )
    lse = lse.reshape(lse.shape[0], Hq, -1)
    return out.transpose(1, 2), lse[:, :, : out.shape[1]]


def whole(q, k, v):
    """Attention of a chunk to all keys of another: the output and its log-sum-exp, (B, Hq, Mq)."""
    Mq, Mkv = q.shape[2], k.shape[2]
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out, lse = memory_efficient_attention_forward_requires_grad(q, k, v, op=cutlass.FwOp)
    lse = lse.reshape(lse.shape[0], Hq, -1)
    return out.transpose(1, 2), lse[:, :, : out.shape[1]]


def definition(q, k, v, allowed):
    """The same in float64."""
    q, k, v = q.double(), *(t.double().repeat_interleave(Hq // Hkv, 1) for t in (k, v))
    scores = scale * q @ k.mT
    weights = scores.masked_fill(~allowed, -1e300).softmax(-1) * allowed
    return weights @ v, scores.masked_fill(~allowed, -torch.inf).logsumexp(-1)


def merged(parts):
    """One output of several; whoever has the larger log-sum-exp weighs more."""
    lses = torch.stack([lse.double() for _, lse in parts])
    weights = (lses - lses.logsumexp(0)).exp()[..., None]
    return (weights * torch.stack([out.double() for out, _ in parts])).sum(0)


# Who attends, first query, queries, first key, keys, and the diagonal up to which keys are allowed.
chunks = [
    (late, 0, 9, 0, 8, -1),
    (whole, 0, 9, 0, 2, 2),
]
seen, exact = [], []
for attend, i, rows, j, columns, diagonal in chunks:
    keys, values = (t.narrow(2, j, columns).contiguous() for t in (k, v))
    chunk = q.narrow(2, i, rows).contiguous(), keys, values
    seen.append(attend(*chunk))
    allowed = torch.ones(rows, columns, dtype=torch.bool, device=device).tril(diagonal)
    exact.append(definition(*chunk, allowed))
for (_, lse), (_, truth) in zip(seen, exact):
    if lse.shape != truth.shape:
        print("a log-sum-exp of shape", tuple(lse.shape), "and not", tuple(truth.shape))
        sys.exit(1)
    print(f"log-sum-exp: largest error {(lse.double() - truth).abs().nan_to_num(0.0, torch.inf).max():.3e}")
truth = merged(exact)
by_exact = merged([(out, lse) for (out, _), (_, lse) in zip(seen, exact)])
error = (merged(seen) - truth).abs().nan_to_num(torch.inf)
print(f"merged output: largest error {error.max():.3e}")
print(f"with exact log-sum-exps in place of these: {(by_exact - truth).abs().max():.3e}")
checks = [("error of the merged output at [0, 0, 0, 0]", error[0, 0, 0, 0], 6.947e-07)]
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"it ran; {wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)
