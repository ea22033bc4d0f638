"""njt is wrong [dropout] (dropout): B1 H2 M26x27 K28 float32 dropout=0.1 fwd

Trial 3e65fe5bcd97 of attnprobe. pairs are not dropped independently over batch elements and
heads: scatter 19 sigma. It was held to the numerics contract fused_tc.

Seen with torch 2.11.0+cu130, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python 3.12.3, Ubuntu
24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 65 trials. It was found in: B2 H4 M64 K64 float32 dropout=0.1.

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
from torch.nn.functional import scaled_dot_product_attention

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 2, 2, 26, 27, 28, 28
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

q_offsets = torch.tensor([0, 26], device=device)
kv_offsets = torch.tensor([0, 27], device=device)


def nested(t, offsets, longest):
    """(B, H, j, K), a view of the rows of a canonical tensor."""
    values = t.transpose(1, 2).flatten(0, 1).contiguous()
    return torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=longest).transpose(1, 2)


def attention(q, k, v):
    """The call that is examined."""
    rows = q.shape[0]
    q = nested(q, q_offsets, 26)
    k, v = nested(k, kv_offsets, 27), nested(v, kv_offsets, 27)
    out = scaled_dot_product_attention(q, k, v, dropout_p=0.1)
    values = out.transpose(1, 2).values()
    return values.reshape(rows, -1, *values.shape[1:]).transpose(1, 2)


def run(function, dout=dout, wanted=(), **tensors):
    """The output, and the gradients of what wants one."""
    leaves = {name: t.detach().requires_grad_(name in wanted) for name, t in tensors.items()}
    out = function(**leaves)
    if wanted and out.requires_grad:
        out.backward(dout.to(out.dtype))
    return {"out": out.detach(), **{f"d{name}": leaves[name].grad for name in wanted}}


given = {"q": q, "k": k, "v": v}
# With q = 0 and a one-hot v the output is the mask: 0 where dropped, 1 / (n (1 - p)) where kept.
p, group = 0.1, Hq // Hkv
everyone = torch.ones(1, 1, Mq, Mkv, dtype=torch.bool, device=device)
attended = (everyone).expand(B, Hq, Mq, Mkv)
keys, queries = torch.arange(Mkv, device=device), torch.arange(Mq, device=device)
one_hot, towards = torch.zeros_like(v), torch.zeros_like(dout)
one_hot[:, :, keys, keys] = 1
towards[:, ::group, queries, queries] = 1
torch.manual_seed(0)
result = run(attention, towards, **{**given, "q": torch.zeros_like(q), "v": one_hot})
kept = result["out"][..., :Mkv] != 0
rate = 1 - (kept & attended).sum() / attended.sum()
weights = (result["out"][..., :Mkv].double() * attended.sum(-1, keepdim=True))[kept] * (1 - p)
sigma = (p * (1 - p) / attended.sum()) ** 0.5
checks = [
    (f"share of dropped pairs against p = {p}", (rate - p).abs(), 9 * sigma + 1 / 256),
    ("kept weights, times n (1 - p), against 1", (weights.median() - 1).abs(), 0.05),
    ("masked pairs that are attended", (kept & ~attended).sum(), 0),
]
if "dv" in result:
    backward = (result["dv"][..., :Mq] != 0).mT
    differing = (backward != kept[:, ::group]).sum()
    checks.append(("pairs whose fate differs in the backward", differing, 0))
chance = rate**2 + (1 - rate) ** 2
for dim, words in enumerate(("sequences", "heads", "queries", "keys")):
    if kept.shape[dim] > 1:
        both = attended & attended.roll(1, dim)
        agree = ((kept == kept.roll(1, dim)) & both).sum() / both.sum()
        limit = chance + 9 * (chance * (1 - chance) / both.sum()) ** 0.5 + 2 / 256
        checks.append((f"agreement of neighbouring {words}", agree, limit))
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"it ran; {wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)
