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
        return Call(tuple(imports), body, lse=_operator(case, kernel, made, said))
    activate = "activate_flash_attention_impl"
    imports[0] = f"from torch.nn.attention import SDPBackend, {activate}, sdpa_kernel"
    release = backend[-1]
    setup = f'{activate}("FA{release}")'
    return Call(tuple(imports), body, setup, f"flash-attn-{release}")


_ADDED = "mask = torch.zeros_like(mask, dtype=q.dtype).masked_fill(~mask, -torch.inf)"
_ALIGNED = """\
N = k.shape[2]
mask = torch.nn.functional.pad(mask, (0, -N % 16))[..., :N].expand(*q.shape[:3], N)"""


def _operator(case: Case, kernel: str, made: str, said: list[str]) -> str:
    """The operator below SDPA, which hands out the log-sum-exp. See device/backends/_sdpa_lse.py."""
    name = next((s.partition("=")[2] for s in said if s.startswith("attn_mask")), "")
    rest = f"{case.dropout_p!r}, {'is_causal=True' in said}"
    scaled = scale(case)
    mask = returned(
        made,
        f"mask = {name}" if name not in ("", "mask") else "",
        _ADDED if name == "allowed" else "",
        _ALIGNED if name and kernel == "EFFICIENT_ATTENTION" else "",
    )
    given = "mask" if name else "None"
    match kernel:
        case "FLASH_ATTENTION" if case.device == "cpu":
            operator, arguments = "flash_attention_for_cpu", [rest, f"attn_mask={given}"]
        case "FLASH_ATTENTION" if case.K % 8 == 0:
            operator, arguments = "flash_attention", [rest, "False"]
        case "EFFICIENT_ATTENTION" if case.groups == 1:
            operator, arguments = "efficient_attention", [given, "True", rest]
        case "CUDNN_ATTENTION":
            operator, arguments = "cudnn_attention", [given, "True", rest, "False"]
        case _:
            return ""
    made_by = call(
        f"torch.ops.aten._scaled_dot_product_{operator}", "q", "k", "v", *arguments, scaled
    )
    return returned(
        mask,
        f"out, lse = {made_by}[:2]",
        "return out, lse.reshape(*lse.shape[:2], -1)[:, :, : q.shape[2]]",
    )
