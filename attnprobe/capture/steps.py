"""Optimizer steps: the unit in which a training script's costs are told."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attnprobe.capture.watch import Watch

MODULES = ("torch.optim.optimizer",)
WHAT = "optimizer steps"


def install(module: ModuleType, watch: Watch) -> None:
    """The global hook of torch itself, after any optimizer's step."""
    import torch

    recorder, is_compiling = watch.recorder, torch.compiler.is_compiling

    def stepped(optimizer: Any, _args: Any, _kwargs: Any) -> None:
        if is_compiling():
            return
        recorder.stepped(optimizer)

    handle = module.register_optimizer_step_post_hook(stepped)
    watch.undoing(handle.remove)
