"""A band of diagonals that is one key too wide or too narrow on one side.

`<` for `<=`, or a window that counts the diagonal where it should not: one key per row comes or goes.
A strict causal mask leaves row 0 without keys, unless the kernel keeps one for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from attnprobe.core.mask import Mask
from attnprobe.device.explainer.edits import attend
from attnprobe.device.explainer.seen import Seen, Variant

KIND = "problem"


def variants(seen: Seen) -> Iterator[Variant]:
    """Each side that the band has, by one in each direction."""
    case, mask = seen.inputs.case, seen.inputs.case.mask
    wider, narrower = dict[str, Mask](), dict[str, Mask]()
    band = "causal" if mask.is_causal else "window"
    if mask.right is not None:
        wider["right"] = replace(mask, right=mask.right + 1)
        if mask.left is None or mask.left + mask.right > 0:
            narrower["right"] = replace(mask, right=mask.right - 1)
    if mask.left is not None:
        wider["left"] = replace(mask, left=mask.left + 1)
        if mask.right is None or mask.left + mask.right > 0:
            narrower["left"] = replace(mask, left=mask.left - 1)
    for side, other in wider.items():
        says = f"{band}: every row attends one key too many on its {side}"
        yield Variant(says, replace(seen.inputs, case=case.edit(mask=other)))
    for side, other in narrower.items():
        says = f"{band}: every row attends one key too few on its {side} (strict comparison)"
        yield Variant(says, replace(seen.inputs, case=case.edit(mask=other)))
        spared = attend(seen.inputs, partial(_spare, narrower=other))
        yield Variant(f"{says}, but for rows with one key alone", spared)


def _spare(keep: Tensor, narrower: Mask) -> Tensor:
    """Rows that would lose their last key stay as they are."""
    M, N = keep.shape[-2:]
    i, j = torch.arange(M, device=keep.device)[:, None], torch.arange(N, device=keep.device)[None]
    fewer: Tensor = keep & narrower.allows(i, j, M, N)
    return fewer | (keep & ~fewer.any(-1, keepdim=True))
