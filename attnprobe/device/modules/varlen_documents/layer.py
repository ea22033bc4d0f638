"""The attention layer of the varlen tutorial, without biases, and its documents."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import pairwise

import torch

from attnprobe.core.case import Case, Lengths
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules import jagged, packed_varlen
from attnprobe.device.modules.attention_layer import AttentionLayer
from attnprobe.device.modules.base import Body, LayerInputs
from attnprobe.device.modules.mha_layer.padded_sdpa import masked
from attnprobe.device.modules.rows import Padded, Slots

CUTS = 2
"""End-of-sequence tokens within a row; a further one ends it."""
EARLIEST = 10
"""Where the first of them may be (earlier in rows of fewer than 20 tokens)."""


class Documents(AttentionLayer):
    """Rows of `Mq` tokens, each cut into up to three documents."""

    @property
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body | Refusal]]:
        """See the folder's docstring."""
        return {
            "varlen": partial(packed_varlen.body, self),
            "padded-sdpa": self.padded_sdpa,
            "jagged": partial(jagged.body, self),
        }

    def lengths(self, case: Case) -> Lengths:
        """Tokens of each document, row by row."""
        found = documents(case.B, case.Mq, case.seed)
        return Lengths(found, found)

    def problems(self, case: Case) -> tuple[str, ...]:
        """Causal rows of one length: where documents end follows from the seed."""
        found = super().problems(case)
        if case.lengths is not None or case.Mq != case.Mkv:
            found += ("the seed cuts the rows into documents: no lengths, Mq = Mkv",)
        if not case.mask.is_causal:
            found += (f"documents are attended causally: mask causal, not {case.mask.text}",)
        return found

    def padded_sdpa(self, given: LayerInputs) -> Body:
        """All rows as they are: a boolean mask (B, 1, Mq, Mq) keeps documents apart."""
        B, M = given.case.B, given.case.Mq
        lengths = torch.tensor(self.lengths(given.case).q, device=given.device)
        document = torch.arange(len(lengths), device=given.device).repeat_interleave(lengths)
        document = document.view(B, 1, M)
        same = document[..., None] == document[..., None, :]
        slots = Slots((M,) * B, given.device)
        return masked(self, given, Padded(slots, slots), same.tril(), is_causal=False)


@cache
def documents(B: int, M: int, seed: int) -> tuple[int, ...]:
    """Tokens of the documents in B rows of M tokens, each ended by an end-of-sequence token.

    Drawn as in the tutorial: two cuts a row, anywhere from the tenth token on.
    """
    drawn = random.Random(seed)
    found: list[int] = []
    for _ in range(B):
        first = min(EARLIEST, M // 2)
        cuts = {drawn.randint(first, max(first, M - 2)) + 1 for _ in range(CUTS)}
        ends = sorted({min(cut, M) for cut in cuts} | {M})
        found += [end - start for start, end in pairwise([0, *ends])]
    return tuple(found)


LAYER = Documents(bias=False)
