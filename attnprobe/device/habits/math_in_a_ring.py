"""The math kernel is chosen inside of context_parallel.

Shown with a group of one rank: which kernels a ring is written for does not depend on its size.
Source: torch@2.13.0:torch/distributed/tensor/experimental/_context_parallel/_attention.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel


def written(query: Tensor, key: Tensor, value: Tensor, **given: Any) -> Tensor:
    """Looked up when it is called: context_parallel puts its own function in the module."""
    with sdpa_kernel([SDPBackend.MATH]), _ring_of_one(query):
        return functional.scaled_dot_product_attention(query, key, value, **given)


@contextmanager
def _ring_of_one(query: Tensor) -> Iterator[None]:
    from torch._C._distributed_c10d import HashStore
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor.experimental import context_parallel

    device = query.device.type
    backend = "nccl" if device == "cuda" else "gloo"
    distributed.init_process_group(backend, store=HashStore(), rank=0, world_size=1)
    try:
        positions = torch.arange(query.shape[2], device=query.device)
        mesh = init_device_mesh(device, (1,))
        with context_parallel(mesh, buffers=[positions], buffer_seq_dims=[0]):
            yield
    finally:
        distributed.destroy_process_group()
