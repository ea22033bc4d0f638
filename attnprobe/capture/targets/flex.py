"""`flex_attention` and the block masks that `create_block_mask` makes."""

from __future__ import annotations

import weakref
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.seen import Arguments, Looked, Seen, number
from attnprobe.core.capture import CapturedMask

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch.nn.attention.flex_attention",)

_NAMES = (
    *("query", "key", "value", "score_mod", "block_mask", "scale", "enable_gqa", "return_lse"),
    *("kernel_options", "return_aux"),
)
_TRACED = ("query", "key", "value", "score_mod", "block_mask", "scale", "kernel_options")

_MOST = 64
"""Block masks that are remembered."""

_LARGEST = 2**24
"""Elements of a mask that is written out to be recognised."""


def install(module: ModuleType, watch: Watch) -> None:
    """The public function; inside torch.compile the operator that it becomes is read off the graph."""
    watch.function(module, "flex_attention", "flex", read)
    watch.after(module, "create_block_mask", _keep)


def read(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """A `score_mod` is named by its function, a mask by what it allows."""
    given = Arguments(_NAMES, {}, args, kwargs)
    block_mask, score_mod = given["block_mask"], given["score_mod"]
    said = [f"score_mod {name}" for name in [_function(score_mod)] if score_mod is not None]
    if block_mask is not None:
        said.append(f"mask_mod {_function(block_mask.mask_mod)}")
    return Seen(
        given["query"],
        given["key"],
        given["value"],
        mask=block_mask,
        scale=number(given["scale"]),
        enable_gqa=bool(given["enable_gqa"]),
        look=_block_mask if block_mask is not None else None,
        said=tuple(said),
    )


def read_traced(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Seen:
    """The higher-order operator in a graph; its block mask is a tuple of tensors there."""
    given = Arguments(_TRACED, {}, args, kwargs)
    q, k = given["query"], given["key"]
    grouped = q.shape[-3] != k.shape[-3]
    return Seen(q, k, given["value"], scale=number(given["scale"]), enable_gqa=grouped)


def _function(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__name__))


def _block_mask(seen: Seen) -> Looked:
    return written_out(seen.mask)


_made: dict[int, weakref.ref[Any]] = {}
"""Block masks by the id of their first tensor, which is what a compiled region receives of them."""


def _keep(block_mask: Any) -> None:
    _made[id(block_mask.kv_num_blocks)] = weakref.ref(block_mask)
    if len(_made) > _MOST:
        del _made[next(iter(_made))]


def made_of(tensors: tuple[Any, ...]) -> Any:
    """The block mask of which a compiled region received tensors; None where it was made elsewhere."""
    for tensor in tensors:
        reference = _made.get(id(tensor))
        found = reference() if reference is not None else None
        if found is not None and found.kv_num_blocks is tensor:
            return found
    return None


def written_out(mask: Any) -> Looked:
    """Small ones are written out and recognised; of others it is said that they are too large."""
    from torch.nn.attention.flex_attention import create_mask

    from attnprobe.capture.later import may_compute, quietly
    from attnprobe.capture.look import NOTICED, recognised

    B, H, M, N = (int(n) for n in mask.shape)
    if not may_compute(mask.kv_num_blocks):
        return CapturedMask("unknown", "BlockMask", None, (B, H, M, N), note=NOTICED)
    if B * H * M * N > _LARGEST:
        why = f"more than {_LARGEST} elements: not written out"
        return CapturedMask("unknown", "BlockMask", None, (B, H, M, N), note=why)
    device = mask.kv_num_blocks.device
    with quietly(device.type):
        return _Named(recognised(create_mask(mask.mask_mod, B, H, M, N, device=device), M, N))


class _Named:
    """A recognition of what a block mask was written out to."""

    def __init__(self, looked: Any) -> None:
        self._looked = looked

    @property
    def ready(self) -> bool:
        """See `core.capture.Recognition`."""
        return isinstance(self._looked, CapturedMask) or bool(self._looked.ready)

    def read(self) -> CapturedMask:
        """See `core.capture.Recognition`."""
        looked = self._looked
        found = looked if isinstance(looked, CapturedMask) else looked.read()
        return replace(found, form="BlockMask")
