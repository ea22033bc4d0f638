"""Would the judge have noticed? Wrong outputs, made from the truth, pushed through the same check."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from attnprobe.core.mask import Align, Mask, Predicate
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.numerics.judge import judge
from attnprobe.device.reference import Reference, compute


@dataclass(frozen=True)
class MutationScore:
    """How many wrong outputs the check rejects on this very input.

    Args:
        found: Rejected mutants.
        tried: Mutants that differ from the truth.
        missed: Names of those that passed.
    """

    found: int
    tried: int
    missed: tuple[str, ...]


@dataclass(frozen=True)
class _Without(Predicate):
    """Every key but one."""

    key: int

    @property
    def name(self) -> str:
        return "without"

    def allows(self, i: Any, j: Any, shift: Any) -> Any:
        """True for all other keys."""
        return (j < self.key) | (j > self.key)


def self_test(inputs: Inputs, reference: Reference, contract: str) -> MutationScore:
    """Rejected mutants over all mutants: a pass means as much as this score says.

    Args:
        inputs: The case's tensors.
        reference: `compute(inputs)`, all queries.
        contract: The contract that the backend was held to.
    """
    right = _outputs(inputs, reference)
    found, missed = 0, []
    for name, mutant in _mutants(inputs, reference, right):
        if all(_alike(getattr(mutant, n), getattr(right, n)) for n in ("out", "dq", "dk", "dv")):
            continue  # on this input the mutation changes nothing that can be seen
        if judge(mutant, inputs, reference, contract).verdict == "fail":
            found += 1
        else:
            missed.append(name)
    return MutationScore(found, found + len(missed), tuple(missed))


def _outputs(inputs: Inputs, reference: Reference) -> Outputs:
    """The truth as a perfect backend would return it."""

    def stored(x: Tensor | None, like: Tensor | None) -> Tensor | None:
        return None if x is None or like is None else x.to(like.dtype)

    return Outputs(
        out=reference.out.to(inputs.q.dtype),
        dq=stored(reference.dq, inputs.q),
        dk=stored(reference.dk, inputs.k),
        dv=stored(reference.dv, inputs.v),
        dbias=stored(reference.dbias, inputs.bias),
    )


def _mutants(inputs: Inputs, reference: Reference, right: Outputs) -> Iterator[tuple[str, Outputs]]:
    case, m = inputs.case, inputs.case.mask
    middle = case.Mkv // 2
    masks = {
        "a key dropped": replace(m, predicates=(*m.predicates, _Without(middle))),
        "the last key dropped": replace(m, predicates=(*m.predicates, _Without(case.Mkv - 1))),
    }
    if m.right is not None:
        masks["one key too many"] = replace(m, right=m.right + 1)
        if m.left is None or m.left + m.right > 0:
            masks["one key too few"] = replace(m, right=m.right - 1)
    if case.Mq != case.Mkv and not m.is_none:
        other: Align = "top-left" if m.align == "bottom-right" else "bottom-right"
        masks["the other alignment"] = Mask(m.left, m.right, other, m.predicates)
    for name, mask in masks.items():
        changed = replace(inputs, case=case.edit(mask=mask))
        yield name, _outputs(inputs, compute(changed))
    scale = case.score.scale
    nudged = replace(case.score, scale=(case.scale if scale is None else scale) * (1 + 2.0**-4))
    changed = replace(inputs, case=case.edit(score=nudged))
    yield "scale off by 1/16", _outputs(inputs, compute(changed))
    yield "out off by 1/64", replace(right, out=_times(right.out))
    for name in ("dq", "dk", "dv"):
        x = getattr(right, name)
        if x is not None:
            yield f"{name} off by 1/64", replace(right, **{name: _times(x)})
    if case.Hq > 1:
        yield "heads swapped", replace(right, out=right.out.roll(1, 1))
    if case.Kv > 1:
        stale = right.out.clone()
        stale[..., -1] = stale[..., 0]
        yield "the last column stale", replace(right, out=stale)


def _times(x: Tensor) -> Tensor:
    return (x.double() * (1 + 2.0**-6)).to(x.dtype)


def _alike(a: Tensor | None, b: Tensor | None) -> bool:
    return a is None or b is None or torch.equal(a, b)
