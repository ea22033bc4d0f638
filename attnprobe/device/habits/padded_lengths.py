"""Sequences of several lengths are padded to the longest, and a mask hides the padding.

Mended, their tokens lie one behind the other: `varlen_attn` where it runs, else one call per sequence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves, sdpa_default, varlen
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BHMK, Layout
from attnprobe.device.lowering import sdpa
from attnprobe.device.lowering.base import Refusal


@dataclass(frozen=True)
class Unpadded:
    """Another layout, of the tokens that are no padding.

    Args:
        case: Padded.
        base: The layout of the packed rows.
    """

    case: Case
    base: Layout

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """(B, H, M, K) without padding, as the library wants it."""
        return self.base.native(name, packed(self.case, name, canonical))

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """Back in slots, zero behind each sequence."""
        rows = self.base.canonical(name, native)
        slots = self.case.Mkv if name in ("k", "v") else self.case.Mq
        full = rows.new_zeros(self.case.B, rows.shape[1], slots, rows.shape[3])
        for s, part in enumerate(rows.split_with_sizes(_lengths(self.case, name), dim=2)):
            full[s, :, : part.shape[2]] = part[0]
        return full


class Packed(Backend):
    """What padded code becomes when its author packs each batch once, before the layers."""

    name = "mended/padded-lengths"

    def claim(self) -> Claim:
        """It says nothing of itself."""
        return Claim(None, "code that people write", self.name)

    def contract(self, case: Case) -> str:
        """Of what is called."""
        return sdpa_default.BACKEND.contract(case)

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Packs outside of what is timed."""
        case = inputs.case
        if case.lengths is None or case.storage != "padded" or inputs.bias is not None:
            return Refusal(("there is no padding, or a bias that is indexed by slots",))
        lengths = replace(case.lengths, storage="packed")
        flat = replace(
            inputs,
            case=case.edit(lengths=lengths),
            q=packed(case, "q", inputs.q),
            k=packed(case, "k", inputs.k),
            v=packed(case, "v", inputs.v),
            dout=packed(case, "out", inputs.dout),
        )
        half = case.dtype in ("float16", "bfloat16")
        prepare = varlen.BACKEND.prepare if case.device != "cpu" and half else _one_by_one
        found = prepare(flat)
        if isinstance(found, Refusal):
            return found
        return replace(found, layout=Unpadded(case, found.layout), lse=None)


def packed(case: Case, name: str, x: Tensor) -> Tensor:
    """(1, H, T, K): the tokens of all sequences of (B, H, M, K)."""
    parts = [x[b : b + 1, :, :n] for b, n in enumerate(_lengths(case, name))]
    return torch.cat(parts, dim=2)


def _lengths(case: Case, name: str) -> list[int]:
    assert case.lengths is not None  # `prepare` has looked
    return list(case.lengths.kv if name in ("k", "v") else case.lengths.q)


def _one_by_one(inputs: Inputs) -> Prepared | Refusal:
    """A call for every sequence."""
    case, arguments = inputs.case, []
    for s in case.sequences:
        alone = case.edit(B=1, Mq=s.Mq, Mkv=s.Mkv, lengths=None)
        lowered = sdpa.lower(replace(inputs, case=alone))
        if isinstance(lowered, Refusal):
            return lowered
        arguments.append(lowered.arguments)
    leaves = _leaves.qkv(inputs, BHMK())
    rows = {name: _lengths(case, name) for name in leaves}

    def launch() -> Tensor:
        parts = (leaves[name].split_with_sizes(rows[name], dim=2) for name in ("q", "k", "v"))
        calls = zip(zip(*parts, strict=True), arguments, strict=True)
        return torch.cat([scaled_dot_product_attention(*qkv, **said) for qkv, said in calls], dim=2)

    return Prepared(launch, leaves, BHMK(), f"{len(arguments)} calls")


MENDED = Packed()
