"""The state of the cache before each call: cold wherever that can be had, and always stated."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from attnprobe.core import units
from attnprobe.core.sampling import Sampling
from attnprobe.device.backends.base import Prepared
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.measure.given import G

Prepare = Callable[[G], Prepared | Refusal]

ROTATED = 5  # copies of the inputs are used in turn until they fill the cache this many times
FLUSHED = (
    4  # a flush reads this many times the cache: 256 MiB on a GPU with 60 MiB, as do_bench does
)
COPIES_MAX = 32
_SHARE_OF_FREE = 8  # copies may take this part of the free memory
_CPU_COPIES_BYTES = 2**29


def _nothing() -> None:
    """What precedes a call that needs nothing."""


@dataclass(frozen=True)
class Cold:
    """How calls are kept from finding their inputs in the cache.

    Args:
        copies: The case, prepared once or several times on inputs of the same values.
        text: For the report.
        before_forward: Empties the cache before a forward, unless `copies` in turn do.
        before_backward: Empties it between a forward and its backward, on CUDA.
    """

    copies: tuple[Prepared, ...]
    text: str
    before_forward: Callable[[], object] = field(default=_nothing)
    before_backward: Callable[[], object] = field(default=_nothing)


def cache_bytes(device: torch.device) -> int:
    """Size of the last cache before memory; 0 when the machine does not say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).L2_cache_size)
    sizes = [0]
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        match = re.fullmatch(r"(\d+)([KMG]?)", file.read_text().strip())
        if match:
            sizes.append(int(match[1]) * 2 ** {"": 0, "K": 10, "M": 20, "G": 30}[match[2]])
    return max(sizes)


def flusher(device: torch.device) -> Callable[[], object]:
    """Reads a buffer larger than the cache.

    Reads, because a buffer that is *written* (`zero_`, as triton's do_bench does) leaves the cache full
    of dirty lines, and the call that is timed pays for writing them back.
    """
    buffer = torch.zeros(FLUSHED * cache_bytes(device) // 4, dtype=torch.float32, device=device)
    return buffer.sum


def keep_cold(prepared: Prepared, inputs: G, prepare: Prepare[G] | None) -> Cold:
    """Decides how: copies of the inputs in turn, else a flush (CUDA), else it says "warm".

    Args:
        prepared: The case as the backend prepared it.
        inputs: What it was prepared from.
        prepare: The backend's `prepare`, to prepare copies of the inputs; None forbids copies.
    """
    device = inputs.device
    cache = cache_bytes(device)
    if not cache:
        return Cold((prepared,), "warm (the size of the cache is unknown)")
    flush = flusher(device) if device.type == "cuda" else _nothing
    backward = "flushed by reading" if device.type == "cuda" else "as its forward leaves it"
    footprint = inputs.demand.bytes_min["fwd"]
    wanted = math.ceil(ROTATED * cache / max(1, footprint))
    if wanted <= COPIES_MAX and wanted * footprint <= _spare(device):
        copies = _copies(prepared, inputs, prepare, wanted)
        if copies:
            how = f"{wanted} copies of the inputs in turn" if wanted > 1 else "inputs exceed it"
            text = f"cold ({how}, {units.size(cache)} of cache; backward {backward})"
            return Cold(copies, text, before_backward=flush)
    if device.type == "cuda":
        text = f"cold (flushed by reading, {units.size(cache)} of cache)"
        return Cold((prepared,), text, before_forward=flush, before_backward=flush)
    return Cold((prepared,), f"warm ({wanted} copies would fill the {units.size(cache)} of cache)")


def state_of_cache(
    prepared: Prepared, inputs: G, prepare: Prepare[G] | None, sampling: Sampling
) -> Cold:
    """Cold as `keep_cold` has it, or one set of inputs again and again where warm was asked for."""
    if sampling.warm:
        return Cold((prepared,), "warm (one set of inputs, nothing between the calls)")
    return keep_cold(prepared, inputs, prepare)


def _copies(
    prepared: Prepared, inputs: G, prepare: Prepare[G] | None, wanted: int
) -> tuple[Prepared, ...]:
    """The case on `wanted` sets of inputs, strides and shared storage kept; empty if that fails."""
    if wanted > 1 and prepare is None:
        return ()
    more = [prepare(copy.deepcopy(inputs)) for _ in range(wanted - 1)] if prepare else []
    ready = [one for one in more if isinstance(one, Prepared)]
    return (prepared, *ready) if len(ready) == len(more) else ()


def _spare(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // _SHARE_OF_FREE
    return _CPU_COPIES_BYTES
