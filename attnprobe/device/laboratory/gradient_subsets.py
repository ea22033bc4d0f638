"""Every subset of gradients is what it is when all are asked for.

Finds a backward that counts on a gradient nobody wants (a frozen layer, a constant key), returns
them in the wrong order, or leaves one out. A right kernel's gradients do not depend on each other;
each subset is held to the same reference and contract as the whole, not to the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations

from attnprobe.core.case import Case
from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Declined, Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """One forward and backward for each subset of q, k, v and bias."""
    case = subject.case
    hindrance = _judged.gradient_hindrance(subject)
    if hindrance is not None:
        return hindrance
    truth = subject.truth
    found: list[Failure] = []
    for alone in _subsets(case):
        inputs = replace(subject.inputs, case=alone)
        try:
            outputs = subject.run(inputs)
        except Declined:
            continue
        wrong = _judged.failures(subject, outputs, inputs, truth)
        found += _judged.renamed(wrong, "gradient_subsets", f"gradients of {_names(alone)} alone")
    return tuple(found)


def _subsets(case: Case) -> Iterator[Case]:
    """The case with fewer gradients wanted."""
    bias = case.score.bias
    choices = (True, False) if case.wants_bias_grad else (False,)
    for wants_bias in choices:
        score = case.score
        if bias is not None:
            score = replace(score, bias=replace(bias, requires_grad=wants_bias))
        for size in range(len(case.grads) + 1):
            for grads in combinations(case.grads, size):
                whole = grads == case.grads and wants_bias == case.wants_bias_grad
                if not whole and (grads or wants_bias):
                    yield case.edit(grads=grads, score=score)


def _names(case: Case) -> str:
    return ", ".join((*case.grads, *(("bias",) if case.wants_bias_grad else ())))
