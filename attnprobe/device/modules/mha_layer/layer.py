"""nn.MultiheadAttention's layer, with self attention or (`mha-cross`) cross attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from attnprobe.core.case import Case, Lengths
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.modules import jagged, packed_varlen
from attnprobe.device.modules.attention_layer import AttentionLayer
from attnprobe.device.modules.base import Body, LayerInputs
from attnprobe.device.modules.mha_layer import padded_mha, padded_sdpa


class Mha(AttentionLayer):
    """Sequences are B of Mq and Mkv tokens, or as long as `case.lengths` says."""

    @property
    def bodies(self) -> Mapping[str, Callable[[LayerInputs], Body | Refusal]]:
        """See the folder's docstring."""
        return {
            "padded-mha": partial(padded_mha.body, self),
            "padded-sdpa": partial(padded_sdpa.body, self),
            "jagged": partial(jagged.body, self),
            "packed-varlen": partial(packed_varlen.body, self),
        }

    def lengths(self, case: Case) -> Lengths:
        """As the case says, else full."""
        if case.lengths is not None:
            return case.lengths
        return Lengths((case.Mq,) * case.B, (case.Mkv,) * case.B)

    def problems(self, case: Case) -> tuple[str, ...]:
        """Sequences have tokens, and self attention as many queries as keys."""
        found, lengths = super().problems(case), self.lengths(case)
        if not self.cross and lengths.q != lengths.kv:
            found += (f"self attention has as many queries as keys; {case.module} is that",)
        if min(*lengths.q, *lengths.kv) < 1:
            found += ("a sequence without tokens: nn.MultiheadAttention has no answer to it",)
        if lengths.tail or lengths.storage == "packed-padded-keys":
            found += ("each variant stores the sequences its own way: no tail, no slots",)
        return found


LAYER = Mha()
