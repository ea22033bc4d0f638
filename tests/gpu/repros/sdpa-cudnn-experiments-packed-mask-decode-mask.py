"""sdpa-cudnn is wrong [mask] (mask-decode): B1 H1 M1 K8 bfloat16 lengths(packed)

Trial ad8f6c5588e9 of attnprobe. backward: key 0 is attended and should not be by query 1 (batch
0, head 0; 30 such pairs among 36). It was held to the numerics contract mem_efficient.

Seen with torch 2.11.0+cu130, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python 3.12.3, Ubuntu
24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 21 trials. It was found in: B3 H4/2 M130 K64 bfloat16 causal(align=top-left)
lengths(packed).

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
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 1, 1, 1, 1, 8, 8
dtype, device = torch.bfloat16, "cuda"
if not torch.cuda.is_available():
    print("there is no CUDA device here")
    sys.exit(125)
scale = K**-0.5
rows, Tq, Tkv = 1, 6, 6
# Of every sequence: its row, first query, queries, first key, keys.
sequences = [
    (0, 0, 1, 0, 1),
]

# Drawn on the CPU from one seed: every machine has the same bits.
generator = torch.Generator().manual_seed(0)
q = torch.randn(rows, Hq, Tq, K, generator=generator)
k = torch.randn(rows, Hkv, Tkv, K, generator=generator)
v = torch.randn(rows, Hkv, Tkv, Kv, generator=generator)
dout = torch.randn(rows, Hq, Tq, Kv, generator=generator)
belongs = torch.zeros(rows, 1, Tq, 1)
for b, q0, mq, _, _ in sequences:
    belongs[b, :, q0 : q0 + mq] = 1
dout = dout * belongs  # no loss looks at padding
q, k, v, dout = (t.to(dtype).to(device) for t in (q, k, v, dout))


def attends(i, j, Mq, Mkv):
    """Whether query i may attend key j: none."""
    return (i >= 0) & (j >= 0)


allowed = torch.zeros(rows, 1, Tq, Tkv, dtype=torch.bool, device=device)
for b, q0, mq, k0, mkv in sequences:
    i, j = torch.arange(mq, device=device)[:, None], torch.arange(mkv, device=device)
    allowed[b, 0, q0 : q0 + mq, k0 : k0 + mkv] = attends(i, j, mq, mkv)


def attention(q, k, v):
    """The call that is examined."""
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
        return scaled_dot_product_attention(q, k, v, attn_mask=allowed)


def run(function, dout=dout, wanted=("v",), **tensors):
    """The output, and the gradients of what wants one."""
    leaves = {name: t.detach().requires_grad_(name in wanted) for name, t in tensors.items()}
    out = function(**leaves)
    if wanted and out.requires_grad:
        out.backward(dout.to(out.dtype))
    return {"out": out.detach(), **{f"d{name}": leaves[name].grad for name in wanted}}


given = {"q": q, "k": k, "v": v}
everyone = torch.ones(1, 1, q.shape[2], k.shape[2], dtype=torch.bool, device=device)
attended = everyone & allowed
flat = {**given, "q": torch.zeros_like(q)}
if "bias" in flat:
    flat["bias"] = torch.zeros_like(flat["bias"])
checks = []
for size in {t.numel() for t in given.values()}:  # freed memory, full of a number that shows
    for n in (size // 2, size, 2 * size):
        litter = [torch.full((n,), 12345.0, dtype=t, device=device) for t in (dtype, torch.float32)]
        del litter
for start in range(0, k.shape[2], Kv):
    # With q = 0 every attended key weighs 1/n: a one-hot v shows in `out` who attends it.
    n = min(Kv, k.shape[2] - start)
    one_hot = torch.zeros_like(v)
    one_hot[:, :, start + torch.arange(n), torch.arange(n)] = 1
    seen = run(attention, wanted=(), **{**flat, "v": one_hot})["out"][..., :n] != 0
    wrong = (seen != attended[..., start : start + n]).sum()
    checks.append((f"forward: pairs that differ from the mask, keys from {start}", wrong, 0))
for start in range(0, q.shape[2], Kv):
    # A one-hot dout shows in dv whom these queries attend in the backward.
    n = min(Kv, q.shape[2] - start)
    for head in range(Hq // Hkv):
        one_hot = torch.zeros_like(dout)
        one_hot[:, head :: Hq // Hkv, start + torch.arange(n), torch.arange(n)] = 1
        seen = (run(attention, one_hot, **flat)["dv"][..., :n] != 0).mT
        wrong = (seen != attended[:, :, start : start + n]).sum()
        checks.append((f"backward: pairs that differ from the mask, queries from {start}", wrong, 0))
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"it ran; {wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)
