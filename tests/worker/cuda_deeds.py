"""What a backend may do to its CUDA context: the entry of the children of test_cuda.py."""

from __future__ import annotations

from collections.abc import Callable

import torch

from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.trial import Trial


def answer(trial: Trial, announce: Callable[[str], None]) -> Outcome:
    announce("forward")
    match trial.backend:
        case "assert":
            table = torch.zeros(4, device="cuda")
            index = torch.full((2,), 1 << 20, device="cuda")
            table[index]  # out of range: asserts on the device, after this call has returned
            return Measured("launched")
        case "exhaust":
            held = []
            while True:
                held.append(torch.empty(1 << 30, dtype=torch.uint8, device="cuda"))
        case "half":
            free, _ = torch.cuda.mem_get_info()
            torch.empty(free // 2, dtype=torch.uint8, device="cuda")
            return Measured("held")
    return Measured(str(torch.ones(4, device="cuda").sum().item()))
