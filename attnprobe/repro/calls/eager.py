"""softmax(q k^T) v as tensor operations. See device/backends/eager.py."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro import pairs
from attnprobe.repro.calls.base import REPEATED, Call, returned


def write(case: Case, backend: str) -> Call:
    """Every score a tensor in the inputs' format."""
    made, mask = pairs.dense(case)
    masked = {
        "": "",
        "allowed": 'scores = scores.masked_fill(~allowed, float("-inf"))',
        "mask": "scores = scores + mask",
    }[mask]
    weights = returned(
        made,
        REPEATED if case.groups > 1 else "",
        "scores = q @ k.transpose(-2, -1) * scale",
        "scores = softcap * torch.tanh(scores / softcap)" if case.score.softcap else "",
        masked,
        "weights = scores.softmax(-1).to(v.dtype)",
        f"weights = torch.nn.functional.dropout(weights, {case.dropout_p!r})"
        if case.dropout_p
        else "",
    )
    body = returned(weights, "return weights @ v")
    return Call((), body, lse=f"{body}, scores.float().logsumexp(-1)")
