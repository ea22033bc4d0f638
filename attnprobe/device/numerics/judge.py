"""The verdict."""

from __future__ import annotations

from attnprobe.core.parity import Parity
from attnprobe.device.inputs import Inputs, Outputs
from attnprobe.device.reference import Reference


def judge(outputs: Outputs, inputs: Inputs, reference: Reference, contract: str) -> Parity:
    """Holds what a backend returned against the reference and the contract's bounds.

    Args:
        outputs: What the backend returned; None for what is missing.
        inputs: What it was given.
        reference: `compute(inputs)`.
        contract: A name of `contracts.names()`.
    """
    return Parity(verdict="none", contract=contract)
