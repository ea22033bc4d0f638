"""SDPA on jagged nested tensors: the library picks flash, mem-efficient or, on the CPU, math.

Source: torch@2.13.0:torch/nested/_internal/sdpa.py. Query and output share one `offsets` tensor, because
a nested tensor's ragged size is compared by that tensor's identity.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nested._internal import sdpa as nested_sdpa
from torch.nn.attention import SDPBackend
from torch.nn.functional import scaled_dot_product_attention

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import THK
from attnprobe.device.lowering import njt
from attnprobe.device.lowering.base import Refusal


@dataclass(frozen=True)
class Jagged:
    """(B, H, j, K) nested, a transposed view of rows with offsets.

    Args:
        rows: The layout of the values.
        q: (offsets, longest) of queries and outputs.
        kv: The same of keys and values.
    """

    rows: THK
    q: tuple[Tensor, int]
    kv: tuple[Tensor, int]

    def native(self, name: str, canonical: Tensor) -> Tensor:
        """Contiguous rows made nested, heads in front."""
        offsets, longest = self.kv if name in ("k", "v") else self.q
        values = self.rows.native(name, canonical).contiguous()
        nested = torch.nested.nested_tensor_from_jagged(values, offsets, max_seqlen=longest)
        return nested.transpose(1, 2)

    def canonical(self, name: str, native: Tensor) -> Tensor:
        """The rows, back in the canonical order."""
        return self.rows.canonical(name, native.transpose(1, 2).values())


class Njt(Backend):
    """Full padded tensors count as B sequences of equal length."""

    name = "njt"

    def claim(self) -> Claim:
        """Part of torch; says nothing of itself."""
        return asked(self, "torch.nested", lambda: (True, "part of torch, not being developed"))

    def contract(self, case: Case) -> str:
        """Math on nested tensors rounds the scores; elsewhere a fused kernel runs."""
        return "unfused" if case.device == "cpu" else "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """Nested leaves; torch's own selection says whether any kernel takes them."""
        lowered = njt.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        arguments = dict(lowered.arguments)
        q_rows = arguments.pop("offsets_q"), arguments.pop("max_q")
        kv_rows = arguments.pop("offsets_kv"), arguments.pop("max_kv")
        layout = Jagged(THK(inputs.q.shape[0]), q_rows, kv_rows)
        leaves = _leaves.qkv(inputs, layout)
        q, k, v = leaves["q"], leaves["k"], leaves["v"]
        chosen = choice(leaves, arguments)
        if not isinstance(chosen, str):
            return Refusal(chosen, by="library")

        def launch() -> Tensor:
            return scaled_dot_product_attention(q, k, v, **arguments)

        return Prepared(launch, leaves, layout, f"{lowered.form} -> {chosen}")


class _Listener(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one message, without the headings."""
        if "not used because" not in record.getMessage():
            self.heard.append(record.getMessage())


def choice(leaves: dict[str, Tensor], arguments: dict[str, Any]) -> str | tuple[str, ...]:
    """The kernel that torch would take, or every reason that it logs when it takes none.

    Args:
        leaves: q, k and v, nested (B, H, j, K).
        arguments: SDPA's: dropout_p, is_causal, enable_gqa.
    """
    listener, log = _Listener(), nested_sdpa.log
    heard_elsewhere = log.propagate
    log.addHandler(listener)
    log.propagate = False
    try:
        choice = nested_sdpa._select_sdp_backend(  # type: ignore[no-untyped-call]  # torch's
            leaves["q"],
            leaves["k"],
            leaves["v"],
            None,
            arguments.get("dropout_p", 0.0),
            arguments.get("is_causal", False),
            arguments.get("enable_gqa", False),
        )
    finally:
        log.removeHandler(listener)
        log.propagate = heard_elsewhere
    if choice is SDPBackend.ERROR:
        return tuple(dict.fromkeys(listener.heard)) or ("no viable backend",)
    name: str = choice.name
    return name


BACKEND = Njt()
