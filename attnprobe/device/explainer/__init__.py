"""Why a result is wrong: hypotheses that restore parity, and where the error sits."""

from attnprobe.device.explainer.explain import explain

__all__ = ["explain"]
