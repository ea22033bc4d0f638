"""sdpa-cudnn is wrong [strided_gradient] (strided-gradient): B1 H2 M2 K8 bfloat16

Trial c9b608863d46 of attnprobe. gradient of the output transposed in memory: dv is off by 616
times what mem_efficient allows (element); relative error 7.66e-01; worst element (0, 0, 0, 1):
error -1.244e+00, allowed 2.020e-03. It was held to the numerics contract mem_efficient.

Seen with torch 2.11.0+cu130, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python 3.12.3, Ubuntu
24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 26 trials. It was found in: B2 H4/2 M72 K64 bfloat16 causal(align=top-left).

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

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 2, 2, 2, 2, 8, 8
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


def attention(q, k, v):
    """The call that is examined."""
    with sdpa_kernel([SDPBackend.CUDNN_ATTENTION]):
        return scaled_dot_product_attention(q, k, v)


def reference(q, k, v):
    """The definition: every score in memory, in the format of its inputs; no key, no output."""
    scores = scale * q @ k.mT
    weights = scores.softmax(-1)
    return weights @ v


def run(function, dout=dout, wanted=("v",), **tensors):
    """The output, and the gradients of what wants one."""
    leaves = {name: t.detach().requires_grad_(name in wanted) for name, t in tensors.items()}
    out = function(**leaves)
    if wanted and out.requires_grad:
        out.backward(dout.to(out.dtype))
    return {"out": out.detach(), **{f"d{name}": leaves[name].grad for name in wanted}}


given = {"q": q, "k": k, "v": v}
truth = run(reference, dout.double(), **{name: t.double() for name, t in given.items()})
plain = run(attention, **given)


def off(result, name, truth=truth):
    """The largest error; NaN counts as infinite, and so does what is missing."""
    if result[name] is None:
        return torch.tensor(torch.inf)
    return (result[name].double() - truth[name]).abs().nan_to_num(torch.inf).max()


usual = {name: 4 * off(plain, name) + 1e-30 for name in plain}
checks = []
wide = dout.new_zeros(*dout.shape[:-1], 2 * dout.shape[-1])
wide[..., ::2] = dout
forms = {
    "transposed in memory": dout.transpose(1, 2).contiguous().transpose(1, 2),
    "with heads outermost": dout.transpose(0, 1).contiguous().transpose(0, 1),
    "with a last stride of 2": wide[..., ::2],
    "with columns outermost": dout.transpose(2, 3).contiguous().transpose(2, 3),
}
for words, other in forms.items():
    result = run(attention, other, **given)
    for name in result:
        checks.append((f"error of {name}, dout {words}", off(result, name), usual[name]))
ones = torch.ones((), dtype=dtype, device=device).expand(dout.shape)
exact = {name: t.double() for name, t in given.items()}
truth1 = run(reference, ones.double(), **exact)
whole, result = run(attention, ones.contiguous(), **given), run(attention, ones, **given)
for name in result:
    limit = 4 * off(whole, name, truth1) + 1e-30
    checks.append((f"error of {name}, dout one expanded number", off(result, name, truth1), limit))
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"it ran; {wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)
