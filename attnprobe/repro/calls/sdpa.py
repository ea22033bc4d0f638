"""torch.nn.functional.scaled_dot_product_attention, one kernel selected. See device/lowering/sdpa.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro import pairs
from attnprobe.repro.calls.base import Call, call, returned, scale

KERNELS = {
    "sdpa-math": "MATH",
    "sdpa-flash": "FLASH_ATTENTION",
    "sdpa-mem-efficient": "EFFICIENT_ATTENTION",
    "sdpa-cudnn": "CUDNN_ATTENTION",
    "sdpa-fa3": "FLASH_ATTENTION",
    "sdpa-fa4": "FLASH_ATTENTION",
}
FUNCTION = "from torch.nn.functional import scaled_dot_product_attention"


def arguments(case: Case) -> tuple[str, list[str]]:
    """Statements that make the mask, and the keyword arguments."""
    said = [
        f"dropout_p={case.dropout_p!r}" if case.dropout_p else "",
        scale(case),
        "enable_gqa=True" if case.groups > 1 else "",
    ]
    if case.score.is_plain and case.lengths is None and case.mask_form == "best":
        if case.mask.is_causal and (case.mask.align == "top-left" or case.Mq == case.Mkv):
            return "", [*said, "is_causal=True"]
        if case.mask.is_idle(case.Mq, case.Mkv):
            return "", said
    made, mask = pairs.dense(case)
    return made, [*said, f"attn_mask={mask}" if mask else ""]


def write(case: Case, backend: str) -> Call:
    """The call, inside a context that allows this kernel alone."""
    made, said = arguments(case)
    attend = f"return {call('scaled_dot_product_attention', 'q', 'k', 'v', *said)}"
    kernel = KERNELS.get(backend)
    if kernel is None:
        return Call((FUNCTION,), returned(made, attend))
    inside = attend.replace("\n", "\n    ")
    body = returned(made, f"with sdpa_kernel([SDPBackend.{kernel}]):\n    {inside}")
    imports = ["from torch.nn.attention import SDPBackend, sdpa_kernel", FUNCTION]
    if backend not in ("sdpa-fa3", "sdpa-fa4"):
        return Call(tuple(imports), body)
    activate = "activate_flash_attention_impl"
    imports[0] = f"from torch.nn.attention import SDPBackend, {activate}, sdpa_kernel"
    release = backend[-1]
    setup = f'{activate}("FA{release}")'
    return Call(tuple(imports), body, setup, f"flash-attn-{release}")
