"""njt raises RuntimeError: B1 H2/1 M1 K1 float32 fwd

Trial a4c7ff3e3e77 of attnprobe. In phase forward: RuntimeError: matmul: For nested tensors,
batch dimensions must have the same sizes, no broadcasting is currently performed. Got batch
shapes for self  2 [ torch.LongTensor{1,1} ] and batch shapes for mat2  1 [
torch.LongTensor{1,1} ]

Seen with torch 2.11.0+cu130, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python 3.12.3, Ubuntu
24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 10 trials. It was found in: B2 H4/2 M130 K64 float32.

Exit status: 1 while the exception comes, 0 once the call returns, 125 where neither can be
told.
"""

import os
import sys


def ended(kind, error, trace):
    """Exit status 125 where an exception keeps it from being told."""
    sys.__excepthook__(kind, error, trace)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1 if kind.__name__ == "RuntimeError" else 125)  # not sys.exit: tearing down a lost CUDA context aborts


sys.excepthook = ended

import torch
from torch.nn.functional import scaled_dot_product_attention

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 2, 1, 1, 1, 1, 1
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

q_offsets = torch.tensor([0, 1], device=device)
kv_offsets = torch.tensor([0, 1], device=device)


def nested(t, offsets, longest):
    """(B, H, j, K), a view of the rows of a canonical tensor."""
    values = t.transpose(1, 2).flatten(0, 1).contiguous()
    return torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=longest).transpose(1, 2)


def attention(q, k, v):
    """The call that is examined."""
    rows = q.shape[0]
    q = nested(q, q_offsets, 1)
    k, v = nested(k, kv_offsets, 1), nested(v, kv_offsets, 1)
    out = scaled_dot_product_attention(q, k, v, enable_gqa=True)
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
# The exception comes here, if not before.
got = run(attention, **given)
largest = {name: float(t.abs().max()) for name, t in got.items() if t is not None}
print("it ran; largest numbers:", largest)
sys.exit(0)
