"""xformers.ops.memory_efficient_attention with one operator, or with its own choice.

Sources: xformers@0.0.35:xformers/ops/fmha/{__init__,common,dispatch}.py. Releases after 0.0.35 take the
same names from the package mslk (xformers@ca6d2aa). Nothing is preloaded for it here: whether its
library finds the CUDA runtime it wants is a fact about the environment.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case
from attnprobe.device.backends import _leaves
from attnprobe.device.backends._claim import Answer, asked
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.inputs import Inputs
from attnprobe.device.layouts import BMGHK, BMHK, Layout, Repeated
from attnprobe.device.lowering import xformers
from attnprobe.device.lowering.base import Refusal

REBUILD = (
    "install the xformers build for the CUDA of this torch (its README lists the indexes), or let the "
    "loader find the CUDA runtime that this one asks for"
)


def fmha() -> ModuleType:
    """The module that holds the operators.

    Raises:
        ImportError: Neither xformers nor mslk can be imported, or xformers is an empty shell of mslk.
    """
    found = importlib.import_module("xformers.ops.fmha")
    if hasattr(found, "memory_efficient_attention"):
        return found
    return importlib.import_module("mslk.attention.fmha")


class XformersOp(Backend):
    """One forward operator of xFormers and the backward that belongs to it.

    Args:
        name: Backend name.
        module: File of `xformers/ops/fmha` that holds FwOp and BwOp; empty lets xFormers choose.
        kernels: See `Backend`.
    """

    package = "xformers"

    def __init__(self, name: str, module: str, kernels: str) -> None:
        self.name, self.module, self.kernels = name, module, kernels

    def available(self) -> None:
        """Imports the operators."""
        fmha()

    def claim(self) -> Claim:
        """What `python -m xformers.info` prints for this operator, and whether its library loaded."""
        source = f"xformers.ops.fmha.{self.module or 'ALL_FW_OPS'}.FwOp.is_available()"
        return asked(self, source, self._says)

    def _says(self) -> Answer:
        forward = [self.operators()[0]] if self.module else fmha().ALL_FW_OPS
        named = [(op.NAME, bool(op.is_available())) for op in forward]
        words = [f"{name}: {'available' if there else 'unavailable'}" for name, there in named]
        return any(there for _, there in named), "; ".join((", ".join(words), *load_failure()))

    def operators(self) -> tuple[Any, Any]:
        """(FwOp, BwOp); BwOp is None for an operator that has no backward."""
        if not self.module:
            return None, None
        file = importlib.import_module(f"{fmha().__name__}.{self.module}")
        return file.FwOp, getattr(file, "BwOp", None)

    def contract(self, case: Case) -> str:
        """CUTLASS's class where CUTLASS runs or may be chosen, else that of a fused kernel."""
        return "mem_efficient" if self.module in ("", "cutlass") else "fused_tc"

    def prepare(self, inputs: Inputs) -> Prepared | Refusal:
        """BMHK; grouped heads as an expanded 5-D view forward, as repeated heads with a backward."""
        lowered = xformers.lower(inputs)
        if isinstance(lowered, Refusal):
            return lowered
        bias = lowered.arguments.get("attn_bias")
        layout, form = _layout(inputs.case, bias), lowered.form
        if isinstance(layout, Repeated):
            form += ", K and V repeated to Hq heads"
        leaves = _leaves.qkv(inputs, layout)
        arguments = lowered.arguments | {"attn_bias": _leaves.adopt_bias(leaves, inputs, bias)}
        reasons = self._reasons(inputs.case, leaves, arguments)
        if reasons:
            return Refusal(reasons, by="library", fix=REBUILD if _unloaded(inputs.case) else "")
        q, k, v, forward = leaves["q"], leaves["k"], leaves["v"], self.operators()[0]
        attend = fmha().memory_efficient_attention
        op = self.operators() if self.module else None

        def launch() -> Tensor:
            out: Tensor = attend(q, k, v, **arguments, op=op)
            return out

        def lse() -> Tensor:
            given = fmha().memory_efficient_attention_forward_requires_grad(
                q, k, v, **arguments, op=forward
            )[1]
            return canonical_lse(given, inputs.case)

        gives_lse = not inputs.case.dropout_p
        return Prepared(launch, leaves, layout, form, lse if gives_lse else None)

    def _reasons(
        self, case: Case, leaves: dict[str, Tensor], arguments: dict[str, Any]
    ) -> tuple[str, ...]:
        """Every reason of xFormers' own checkers, and why its library is missing if it is."""
        call = fmha().Inputs(leaves["q"], leaves["k"], leaves["v"], **arguments)
        forward, backward = self.operators()
        try:
            call.validate_inputs()
        except ValueError as error:
            return (str(error),)
        if not self.module:
            reasons = _dispatch(call, case.wants_backward)
        else:
            reasons = [str(reason) for reason in forward.not_supported_reasons(call)]
            if case.wants_backward:
                said = backward.not_supported_reasons(call) if backward else ["there is no BwOp"]
                reasons += [f"backward: {reason}" for reason in said]
        return (*reasons, *_unloaded(case)) if reasons else ()


def _layout(case: Case, bias: object) -> Layout:
    """No backward operator takes five dimensions, and neither does a tensor bias."""
    if case.groups == 1:
        return BMHK()
    if case.wants_backward or isinstance(bias, Tensor):
        return Repeated(BMHK(), case.groups)
    return BMGHK(case.groups)


def _dispatch(call: Any, wants_backward: bool) -> list[str]:
    """What xFormers says of each operator when it takes none: `ckF: dropout > 0.0`."""
    dispatch = importlib.import_module(f"{fmha().__name__}.dispatch")
    try:
        dispatch._dispatch_fw(call, wants_backward)
    except NotImplementedError as error:
        return _by_operator(str(error))
    return []


def _by_operator(message: str) -> list[str]:
    """`_run_priority_list`'s message, one line per operator and reason."""
    found, operator = [], ""
    for line in message.splitlines():
        if "is not supported because" in line:
            operator = line.partition("`")[2].partition("`")[0]
        elif operator and line.strip():
            found.append(f"{operator}: {line.strip()}")
    return found or [message]


def _unloaded(case: Case) -> tuple[str, ...]:
    """`load_failure` where it matters: on the CPU there is nothing to load for."""
    return load_failure() if case.device.startswith("cuda") else ()


def load_failure() -> tuple[str, ...]:
    """Why xFormers' own library did not load, in its words; without it every CUDA call is refused."""
    library = importlib.import_module("xformers._cpp_lib")
    failure: BaseException | None = getattr(library, "_cpp_library_load_exception", None)
    if failure is None:
        return ()
    said = []
    while failure is not None:
        said.append(" ".join(str(failure).split()).partition(" Please ")[0])
        failure = failure.__cause__
    return (f"xFormers' library did not load: {'; '.join(said)}",)


def canonical_lse(lse: Tensor, case: Case) -> Tensor:
    """(Bc, Hq, Tq) float32 from (B, H, >= M), (B, G, H, >= M) or one padded row per packed sequence.

    The two formats of packed sequences: xformers@0.0.35:xformers/ops/fmha/__init__.py,
    `_detect_lse_packed_or_raise`.
    """
    Bc, Hq, Tq, _ = case.q_shape
    lse = lse.to(torch.float32).reshape(lse.shape[0], Hq, -1)
    if case.storage == "padded" or (lse.shape[0] == 1 and lse.shape[2] >= Tq):
        return lse[:, :, :Tq]
    rows = lse.new_full((Bc, Hq, Tq), float("-inf"))
    for s in case.sequences:
        rows[0, :, s.q_start : s.q_start + s.Mq] = lse[s.index, :, : s.Mq]
    return rows
