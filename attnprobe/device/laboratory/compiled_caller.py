"""A caller under torch.compile gets what it gets without.

Finds a wrong fake (meta) implementation, a mutation that is not declared, and a decision that is
frozen while tracing. A right kernel may break the graph or be refused by the tracer: that is no
failure. Graphs are captured and split by AOTAutograd and run as they are, without a code generator.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from attnprobe.core.parity import Failure
from attnprobe.device.laboratory import Skipped, _judged
from attnprobe.device.subject import Subject


def examine(subject: Subject) -> tuple[Failure, ...] | Skipped:
    """Two calls of one compiled function."""
    if subject.case.dropout_p:
        return Skipped("with dropout, two runs are not alike")
    if subject.backend.compiles:
        return Skipped("it compiles itself")
    usual = _judged.usual(subject)
    if usual:
        return usual
    prepared = subject.prepare()
    compiled = replace(prepared, launch=torch.compile(prepared.launch, backend="aot_eager"))
    try:
        with compiled.around():
            outputs = [subject.launch(compiled).outputs for _ in range(2)]
    except Exception as error:  # noqa: BLE001 - a tracer raises anything; uncompiled, the call is right
        said = (str(error).splitlines() or [""])[0]
        return Skipped(f"torch.compile does not take it: {type(error).__name__}: {said}")
    finally:
        torch.compiler.reset()
    truth = subject.truth
    for n, found in enumerate(outputs):
        wrong = _judged.failures(subject, found, subject.inputs, truth)
        if wrong:
            words = "first" if n == 0 else "second"
            return _judged.renamed(
                wrong, "compiled_caller", f"in the {words} call of a compiled caller"
            )
    return ()
