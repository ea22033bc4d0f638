"""xformers-fa2 raises AcceleratorError: B1 H1 M1 K8 bfloat16 unaligned fwd

Trial eb2202006ff4 of attnprobe. In phase forward: AcceleratorError: CUDA error: misaligned
address Search for `cudaErrorMisalignedAddress' in
https://docs.nvidia.com/cuda/cuda-runtime-api/group__CUDART__TYPES.html for more information.
CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace
below might be incorrect. For debugging consider passing CUDA_LAUNCH_BLOCKING=1 Compile with
`TORCH_USE_CUDA_DSA` to enable device-side assertions.

Seen with torch 2.11.0+cu130, xformers 0.0.35, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python
3.12.3, Ubuntu 24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 15 trials. It was found in: B2 H4/2 M65x97 K64 bfloat16 unaligned.

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
    os._exit(1 if kind.__name__ == "AcceleratorError" or "CUDA" in str(error) else 125)  # not sys.exit: tearing down a lost CUDA context aborts


sys.excepthook = ended

import torch
from xformers.ops import memory_efficient_attention
from xformers.ops.fmha import flash

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 1, 1, 1, 1, 8, 8
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


def unaligned(t):
    """The first element lies one element behind an aligned address."""
    return t.new_zeros(t.numel() + 1)[1:].view(t.shape).copy_(t)


q, k, v = unaligned(q), unaligned(k), unaligned(v)


def attention(q, k, v):
    """The call that is examined."""
    q, k, v = (t.transpose(1, 2) for t in (q, k, v))
    out = memory_efficient_attention(q, k, v, op=(flash.FwOp, flash.BwOp))
    return out.transpose(1, 2)


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
