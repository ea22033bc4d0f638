"""The state of the cache before each call: cold wherever that can be had, and always stated."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Sequence
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


def keep_cold(
    prepared: Sequence[Prepared], inputs: G, prepares: Sequence[Prepare[G] | None]
) -> tuple[Cold, ...]:
    """Decides how: copies of the inputs in turn, else a flush (CUDA), else it says "warm".

    Contestants of one comparison are kept cold in the same way and on the *same* copies: where a
    tensor lies in memory can make a kernel faster or slower for the whole run, and no number of rounds
    would show that it was not the kernel.

    Args:
        prepared: The case as each contestant prepared it.
        inputs: What they were prepared from.
        prepares: Each one's `prepare`, to prepare copies of the inputs; a None forbids copies to all.

    Returns:
        One for each contestant.
    """
    device = inputs.device
    cache = cache_bytes(device)
    if not cache:
        return tuple(Cold((one,), "warm (the size of the cache is unknown)") for one in prepared)
    flush = flusher(device) if device.type == "cuda" else _nothing
    backward = "flushed by reading" if device.type == "cuda" else "as its forward leaves it"
    footprint = inputs.demand.bytes_min["fwd"]
    wanted = math.ceil(ROTATED * cache / max(1, footprint))
    if wanted <= COPIES_MAX and wanted * footprint <= _spare(device):
        copies = _copies(prepared, inputs, prepares, wanted)
        if copies:
            how = f"{wanted} copies of the inputs in turn" if wanted > 1 else "inputs exceed it"
            text = f"cold ({how}, {units.size(cache)} of cache; backward {backward})"
            return tuple(Cold(each, text, before_backward=flush) for each in copies)
    if device.type == "cuda":
        text = f"cold (flushed by reading, {units.size(cache)} of cache)"
        return tuple(Cold((one,), text, flush, flush) for one in prepared)
    text = f"warm ({wanted} copies would fill the {units.size(cache)} of cache)"
    return tuple(Cold((one,), text) for one in prepared)


def state_of_cache(
    prepared: Sequence[Prepared],
    inputs: G,
    prepares: Sequence[Prepare[G] | None],
    sampling: Sampling,
) -> tuple[Cold, ...]:
    """Cold as `keep_cold` has it, or one set of inputs again and again where warm was asked for."""
    if sampling.warm:
        text = "warm (one set of inputs, nothing between the calls)"
        return tuple(Cold((one,), text) for one in prepared)
    return keep_cold(prepared, inputs, prepares)


def _copies(
    prepared: Sequence[Prepared],
    inputs: G,
    prepares: Sequence[Prepare[G] | None],
    wanted: int,
) -> list[tuple[Prepared, ...]]:
    """Each contestant's case on `wanted` sets of inputs; empty if that fails for any of them.

    Copies keep strides and shared storage.
    """
    found: list[tuple[Prepared, ...]] = []
    more = [copy.deepcopy(inputs) for _ in range(wanted - 1)] if None not in prepares else []
    for first, prepare in zip(prepared, prepares, strict=True):
        again = [prepare(each) for each in more] if prepare else []
        ready = [one for one in again if isinstance(one, Prepared)]
        if len(ready) < wanted - 1:
            return []
        found.append((first, *ready))
    return found


def _spare(device: torch.device) -> int:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0]) // _SHARE_OF_FREE
    return _CPU_COPIES_BYTES
