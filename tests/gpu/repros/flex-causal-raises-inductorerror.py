"""flex raises InductorError: B1 H2/1 M67 K64 bfloat16 causal(align=top-left) fwd

Trial c936969a1e54 of attnprobe. In phase forward: InductorError: LoweringException:
NoValidChoicesError: No choices to select. Provided reason: No choices exist for backend. please
consider adding ATEN into max_autotune_gemm_backends config (defined in
torch/_inductor/config.py) to allow at least one choice.    target: flex_attention   args[0]:
TensorBox(StorageBox(     InputBuffer(name='arg0_1', layout=FixedLayout('cuda:0',
torch.bfloat16, size=[1, 2, 67, 64], stride=[8576, 4288, 64, 1]))   ))   args[1]:
TensorBox(StorageBox(     InputBuffer(name='arg1_1', layout=FixedLayout('cuda:0',
torch.bfloat16, size=[1, 1, 67, 64], stride=[4288, 4288, 64, 1]))   ))   args[2]:
TensorBox(StorageBox(     InputBuffer(name='arg2_1', layout=FixedLayout('cuda:0',
torch.bfloat16, size=[1, 1, 67, 64], stride=[4288, 4288, 64, 1]))   ))   args[3]:
Subgraph(name='sdpa_score0', graph_module=<lambda>(), graph=None)   args[4]: (67, 67,
TensorBox(StorageBox(     InputBuffer(name='arg4_1', layout=FixedLayout('cuda:0', torch.int32,
size=[1, 1, 1], stride=[1, 1, 1]))   )), TensorBox(StorageBox(     InputBuffer(name='arg3_1',
layout=FixedLayout('cuda:0', torch.int32, size=[1, 1, 1, 1], stride=[1, 1, 1, 1]))   )),
TensorBox(StorageBox(     InputBuffer(name='arg5_1', layout=FixedLayout('cuda:0', torch.int32,
size=[1, 1, 1], stride=[1, 1, 1]))   )), TensorBox(StorageBox(     InputBuffer(name='arg6_1',
layout=FixedLayout('cuda:0', torch.int32, size=[1, 1, 1, 1], stride=[1, 1, 1, 1]))   )),
TensorBox(StorageBox(     InputBuffer(name='arg7_1', layout=FixedLayout('cuda:0', torch.int32,
size=[1, 1, 1], stride=[1, 1, 1]))   )), TensorBox(StorageBox(     InputBuffer(name='arg8_1',
layout=FixedLayout('cuda:0', torch.int32, size=[1, 1, 1, 1], stride=[1, 1, 1, 1]))   )),
TensorBox(StorageBox(     InputBuffer(name='arg9_1', layout=FixedLayout('cuda:0', torch.int32,
size=[1, 1, 1], stride=[1, 1, 1]))   )), TensorBox(StorageBox(     InputBuffer(name='arg10_1',
layout=FixedLayout('cuda:0', torch.int32, size=[1,... (4,066 characters in all)

Seen with torch 2.11.0+cu130, triton 3.6.0, CUDA 13.0, cuDNN 9.19.0, Python 3.12.3, Ubuntu
24.04.3 LTS, Linux 6.18.44 x86_64, container, NVIDIA H200, driver 580.159.04.

Made smaller in 12 trials; the search ended early: the time for it was over. It was found in: B2
H4/1 M67x130 K64 bfloat16 causal(align=top-left).

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
    os._exit(1 if kind.__name__ == "InductorError" else 125)  # not sys.exit: tearing down a lost CUDA context aborts


sys.excepthook = ended

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

B, Hq, Hkv, Mq, Mkv, K, Kv = 1, 2, 1, 67, 67, 64, 64
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
    """Whether query i may attend key j: causal(align=top-left)."""
    return j <= i


i, j = torch.arange(Mq, device=device)[:, None], torch.arange(Mkv, device=device)
allowed = attends(i, j, Mq, Mkv)[None, None]


def mask_mod(b, h, i, j):
    return attends(i, j, Mq, Mkv)


block_mask = create_block_mask(mask_mod, B=None, H=None, Q_LEN=Mq, KV_LEN=Mkv, device=device)
flex = torch.compile(flex_attention, fullgraph=True, dynamic=False)


def attention(q, k, v):
    """The call that is examined."""
    return flex(q, k, v, enable_gqa=True, block_mask=block_mask)


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
