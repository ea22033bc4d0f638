"""Which of the known memory layouts the strides of a captured call are."""

from __future__ import annotations

from collections.abc import Sequence

from attnprobe.core.capture import Call, TensorFacts

ORDERS: dict[str, tuple[int, ...]] = {
    "BHMK": (0, 1, 2, 3),
    "BMHK": (0, 2, 1, 3),
}
"""Which dim of (B, H, M, K) lies outermost, next, ... innermost."""


def layout(call: Call) -> tuple[str, tuple[str, ...]]:
    """The layout of a case, and what of the strides it does not say."""
    tensors = (call.q, call.k, call.v)
    if call.layout in ("MHK", "BMD", "MBD") or any(t.kind == "nested" for t in tensors):
        return "BMHK", ()  # heads lie within tokens
    if not all(len(t.shape) == len(t.stride) in (3, 4) for t in tensors):
        return "BHMK", ("memory of another number of dims is replayed contiguous",)
    known = [_canonical(call, t) for t in tensors]
    if any(t.storage_offset_bytes for t in tensors):
        return "unaligned", ()
    if any(stride[3] != 1 and shape[3] > 1 for shape, stride in known):
        return "strided", ()
    if call.shared_storage and known[0][0] == known[1][0] and _packed(*known[0]):
        return "packed-qkv", ()
    if all(stride[0] == 0 and shape[0] > 1 for shape, stride in known[1:]):
        return "expanded-kv", ()
    if any(0 in stride[: len(shape)] and _expanded(shape, stride) for shape, stride in known):
        return _dense(known), ("expanded dims (stride 0) are replayed in full",)
    if all(_cache(t, *four) for t, four in zip(tensors[1:], known[1:], strict=True)):
        return "kv-cache", ()
    if _dense(known) == "mixed" and not all(_order(*each) for each in known):
        return "BHMK", ("strides that no layout has are replayed contiguous",)
    return _dense(known), ()


Four = tuple[tuple[int, ...], tuple[int, ...]]
"""Shape and strides as (B, H, M, K)."""


def _canonical(call: Call, tensor: TensorFacts) -> Four:
    shape, stride = tensor.shape, tensor.stride
    if len(shape) == 3:
        return (shape[0], 1, *shape[1:]), (stride[0], 0, *stride[1:])
    if call.layout == "BMHK":
        return _swapped(shape), _swapped(stride)
    return shape, stride


def _swapped(four: Sequence[int]) -> tuple[int, ...]:
    return (four[0], four[2], four[1], four[3])


def _dense(known: Sequence[Four]) -> str:
    """The layout whose order all have, or `mixed`."""
    for name, order in ORDERS.items():
        if all(_contiguous(shape, stride, order) for shape, stride in known):
            return name
    orders = [_order(shape, stride) for shape, stride in known]
    return orders[0] if len(set(orders)) == 1 and orders[0] else "mixed"


def _order(shape: tuple[int, ...], stride: tuple[int, ...]) -> str:
    """The layout whose order a tensor has, gaps between its rows left aside; empty for none."""
    for name, order in ORDERS.items():
        steps = [stride[dim] for dim in order if shape[dim] > 1]
        if steps == sorted(steps, reverse=True):
            return name
    return ""


def _contiguous(shape: tuple[int, ...], stride: tuple[int, ...], order: tuple[int, ...]) -> bool:
    expected = 1
    for dim in reversed(order):
        if shape[dim] > 1 and stride[dim] != expected:
            return False
        expected *= shape[dim]
    return True


def _packed(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """A slice of (B, M, 3, H, K): a token's row is three times as long as its heads."""
    _, H, M, K = shape
    return (M == 1 or stride[2] == 3 * H * K) and (H == 1 or stride[1] == K)


def _expanded(shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    return any(size > 1 and step == 0 for size, step in zip(shape, stride, strict=True))


def _cache(tensor: TensorFacts, shape: tuple[int, ...], stride: tuple[int, ...]) -> bool:
    """The first slots of a longer (B, H, slots, K)."""
    elements = shape[0] * shape[1] * shape[2] * shape[3]
    slots = stride[1] // shape[3] if shape[1] > 1 else stride[0] // (shape[1] * shape[3])
    rows = shape[2] == 1 or stride[2] == shape[3]
    return rows and tensor.slots > elements and slots > shape[2]
