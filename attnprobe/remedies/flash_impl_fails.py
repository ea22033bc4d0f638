"""A flash implementation activates and its first call fails.

`list_flash_attention_impls()` names what torch could activate, installed or not, and activation only
imports and registers (torch@2.13:torch/nn/attention/_registry.py). torch 2.11.0 with flash-attn-4
4.0.0b36 activates, and the first call raises "too many values to unpack (expected 2)".
"""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Names the implementation, what it raised and how to get back to torch's own."""
    failing = [
        fact
        for fact in facts
        if fact.name in ("sdpa-fa3", "sdpa-fa4")
        and fact.claim.available is not False
        and fact.fact in ("raised", "crashed", "timed_out")
    ]
    if not failing:
        return None
    listed = "; ".join(f"{f.name}: {f.reasons[0] if f.reasons else f.fact}" for f in failing)
    return (
        f"torch activates a flash implementation that then fails ({listed}). Fix: call "
        "torch.nn.attention.restore_flash_attention_impl(), use the flash-attn package directly, or "
        "install the release that this torch was written for."
    )
