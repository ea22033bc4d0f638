"""Matrix products, in which hand-written attention begins and ends."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch",)


def install(module: ModuleType, watch: Watch) -> None:
    """As functions and as methods of tensors; `torch.autograd` ends what never became attention."""
    from attnprobe.capture.hand_written import operands
    from attnprobe.capture.hand_written.products import Products
    from attnprobe.capture.names import ORIGINAL

    if hasattr(module.matmul, ORIGINAL):
        watch.recorder.gap("hand-written attention", "another capture is watching for it")
        return
    products = Products(watch)
    for name, read in (
        ("matmul", operands.of_matmul),
        ("bmm", operands.of_matmul),
        ("baddbmm", operands.of_baddbmm),
        ("einsum", operands.of_einsum),
    ):
        original = getattr(module, name)
        jit = f"aten::{name}" if name != "einsum" else ""
        watch.put(module, name, original, products.watched(original, read), jit)
    for name, read in (
        ("matmul", operands.of_matmul),
        ("__matmul__", operands.of_matmul),
        ("bmm", operands.of_matmul),
        ("baddbmm", operands.of_baddbmm),
    ):
        original = getattr(module.Tensor, name)
        watch.put(module.Tensor, name, original, products.watched(original, read))
    watch.before(module.autograd, "backward", products.lose)
    watch.undoing(products.lose)
