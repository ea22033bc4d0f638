"""Which operators really run below an attention call: the backend that SDPA chose, forward and backward.

Every fused attention operator gets a kernel in front of its own, for each device that has one. Composite
operators have none and must not get one: autograd would be cut there. Needs `torch.library.get_kernel`
(torch 2.10 and newer); without it backends are not told.
"""

from __future__ import annotations

import re
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attnprobe.capture.owners import OWNER

if TYPE_CHECKING:
    from attnprobe.capture.recorder import Recorder
    from attnprobe.capture.watch import Watch

MODULES = ("torch",)
WHAT = "which backend ran"

_KEYS = ("CPU", "CUDA", "NestedTensorCPU", "NestedTensorCUDA")

_OPERATORS = re.compile(
    r"aten::(_scaled_dot_product_(flash|efficient|cudnn|fused)\w*"
    r"|_(flash|efficient|cudnn)_attention_(forward|backward)"
    r"|_native_multi_head_attention|_transformer_encoder_layer_fwd)"
)


def install(module: ModuleType, watch: Watch) -> None:
    """Puts a kernel that takes note in front of each.

    Raises:
        AttributeError: This torch cannot hand out kernels.
    """
    get_kernel, made = module.library.get_kernel, list[Any]()
    for schema in module._C._jit_get_all_schemas():
        if not _OPERATORS.fullmatch(schema.name) or schema.overload_name == "out":
            continue
        name = schema.name + (f".{schema.overload_name}" if schema.overload_name else "")
        for key in _KEYS:
            if module._C._dispatch_has_kernel_for_dispatch_key(name, key):
                library = module.library.Library("aten", "IMPL")
                kernel = get_kernel(name, key)
                short = name.removeprefix("aten::")
                noted = _noting(kernel, schema.name.removeprefix("aten::"), watch.recorder, module)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that a kernel is overridden is what we want
                    library.impl(short, noted, key, with_keyset=True)
                made.append(library)

    watch.recorder.sees_kernels = True

    def remove() -> None:
        while made:  # the last one first: an override must not outlive the one below it
            made.pop()._destroy()

    watch.undoing(remove)


def _noting(kernel: Any, name: str, recorder: Recorder, torch: ModuleType) -> Any:
    current_node = torch._C._current_autograd_node

    def noted(keyset: Any, *args: Any, **kwargs: Any) -> Any:
        if recorder.on:
            if recorder.open:
                recorder.open[-1].ran(name, args)
            elif (node := current_node()) is not None:
                owner = node.metadata.get(OWNER)
                if owner is not None:
                    owner.ran(name, args)
        return kernel.call_boxed(keyset, *args, **kwargs)

    return noted
