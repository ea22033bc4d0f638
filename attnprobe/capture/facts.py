"""What a tensor is, without looking into it."""

from __future__ import annotations

from typing import Any

import torch

from attnprobe.core.capture import TensorFacts

PLAIN = (torch.Tensor, torch.nn.Parameter)
"""Classes that behave as tensors do; a subclass may mean anything."""


def identity(tensor: Any) -> tuple[Any, ...] | None:
    """What makes two tensors alike for a call, in a form that compares and hashes quickly."""
    if not isinstance(tensor, torch.Tensor):
        return None
    if tensor.is_nested:
        return (_without_ragged(tensor), tensor.dtype, tensor.device.type, tensor.requires_grad)
    return (
        tensor.shape,
        tensor.stride(),
        tensor.dtype,
        tensor.device.type,
        tensor.requires_grad,
        _offset(tensor),
    )


def _without_ragged(tensor: torch.Tensor) -> tuple[Any, ...]:
    """The sizes of a nested tensor that are numbers for every sequence; those others change."""
    if tensor.layout != torch.jagged:
        return ("nested", tensor.dim(), tensor.size(0))
    return ("jagged", *(n if type(n) is int else -1 for n in tensor.shape))


def _offset(tensor: torch.Tensor) -> int:
    """The address modulo 16 bytes; allocations themselves are aligned."""
    return int(tensor.storage_offset()) * tensor.element_size() % 16


def dtype_name(dtype: torch.dtype) -> str:
    """`float32` for torch.float32."""
    return str(dtype).removeprefix("torch.")


def facts(tensor: torch.Tensor) -> TensorFacts:
    """The record of a tensor."""
    fake = type(tensor).__name__ == "FakeTensor"  # what torch.compile traces with
    kind = "Tensor" if fake or type(tensor) in PLAIN else type(tensor).__name__
    stored = has_storage(tensor)
    common: dict[str, Any] = {
        "dtype": dtype_name(tensor.dtype),
        "device": tensor.device.type,
        "requires_grad": tensor.requires_grad,
    }
    if tensor.is_nested:
        shape = tuple(n if type(n) is int else -1 for n in _padded(tensor))
        return TensorFacts(shape, (), kind="nested", **common)
    return TensorFacts(
        shape=tuple(hint(n) for n in tensor.shape),
        stride=tuple(hint(n) for n in tensor.stride()),
        storage_offset_bytes=_offset(tensor) if stored else 0,
        kind=kind,
        slots=tensor.untyped_storage().nbytes() // tensor.element_size() if stored else 0,
        **common,
    )


def has_storage(tensor: torch.Tensor) -> bool:
    """Whether it lies in memory of its own, as no nested, traced or transformed (vmap) tensor does."""
    return (
        type(tensor) in PLAIN
        and not tensor.is_nested
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def _padded(tensor: torch.Tensor) -> tuple[Any, ...]:
    """The shape that a nested tensor's padded form would have; -1 where that is not known for free."""
    if tensor.layout != torch.jagged:
        sizes = tensor._nested_tensor_size()  # on the CPU, whatever the device
        return (tensor.size(0), *(int(n) for n in sizes.amax(0)))
    longest = getattr(tensor, "_maybe_max_seqlen", None)
    return tuple(longest or -1 if type(n) is not int else n for n in tensor.shape)


def hint(size: Any) -> int:
    """A size as a number. A symbolic one (dynamic shapes) is not asked: that would add a guard to it."""
    return size if type(size) is int else int(getattr(size.node, "hint", None) or -1)


def autocast(device: str) -> torch.dtype | None:
    """The dtype that autocast computes in on this kind of device; None without autocast."""
    if not torch.is_autocast_enabled(device):
        return None
    return torch.get_autocast_dtype(device)


def jagged_ends(tensor: Any) -> torch.Tensor | None:
    """Where the sequences of a nested tensor end, from 0 on; None for other tensors."""
    if not isinstance(tensor, torch.Tensor) or not tensor.is_nested:
        return None
    if tensor.layout == torch.jagged:
        ends: torch.Tensor = tensor.offsets()  # type: ignore[attr-defined] # of the jagged class
        return ends
    sizes = tensor._nested_tensor_size()
    ragged = sizes[:, int((sizes != sizes[:1]).any(0).int().argmax())]
    return torch.cat((ragged.new_zeros(1), ragged.cumsum(0)))
