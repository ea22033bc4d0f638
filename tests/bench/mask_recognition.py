"""What looking at masks costs beside a training step: `python tests/bench/mask_recognition.py [cuda]`.

The step is GPT-2 small's (12 layers, width 768, 1024 tokens), forward and backward: on a GPU in bfloat16
with 8 sequences, on a CPU in float32 with one, of which one layer is timed and multiplied. Each mask
is made anew, as by a script that makes one per step, and looked at once.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnprobe.capture.recognise import Recogniser
from attnprobe.core.units import seconds

LIMIT = 0.01
"""Share of a step."""

M, D, H, LAYERS = 1024, 768, 12, 12


def main(device: str) -> int:
    """Prints a line per mask; returns 1 when one costs more than the limit."""
    B = 8 if device == "cuda" else 1
    step = LAYERS * _step(device, B)
    print(f"step of GPT-2 small, batch {B}, {device}: {seconds(step)}")
    print(
        f"{'a new mask per step':34} {'queueing':>10} {'done':>10} {'reading':>10} {'of a step':>10}"
    )
    failed = False
    for name, make in _masks(B, device).items():
        queueing, done, reading = _cost(make, device)
        share = max(queueing, done) / step
        failed |= share > LIMIT
        times = " ".join(f"{seconds(t):>10}" for t in (queueing, done, reading))
        print(f"{name:34} {times} {share:>10.2%}")
    known = _known(device)
    print(f"{'a mask that has not changed':34} {seconds(known):>10}")
    return int(failed)


def _step(device: str, B: int) -> float:
    """Seconds of one layer."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    layer = nn.TransformerEncoderLayer(D, H, 4 * D, 0.0, "gelu", batch_first=True)
    layer = layer.to(device, dtype)
    x = torch.randn(B, M, D, device=device, dtype=dtype, requires_grad=True)
    return _least(lambda: layer(x).sum().backward(), device, 5)


def _masks(B: int, device: str) -> dict[str, Callable[[], Tensor]]:
    lengths = torch.randint(1, M, (B, 1, 1, 1), device=device)
    causal = torch.ones(M, M, dtype=torch.bool, device=device).tril()
    padding = torch.arange(M, device=device) < lengths
    least = torch.finfo(torch.float32).min
    return {
        "boolean, causal (M, M)": causal.clone,
        "boolean, padding (B, 1, 1, M)": padding.clone,
        "boolean, both (B, 1, M, M)": lambda: padding & causal,
        "float32, both (B, 1, M, M)": lambda: torch.zeros(B, 1, M, M, device=device).masked_fill(
            ~(padding & causal), least
        ),
    }


def _cost(make: Callable[[], Tensor], device: str) -> tuple[float, float, float]:
    """Median seconds to queue the look, until it is done, and to read what came out."""
    found = []
    for _ in range(7):
        mask, looking = make(), Recogniser()
        _wait(device)
        began = time.perf_counter()
        recognition = looking(mask, M, M)
        queued = time.perf_counter()
        _wait(device)
        done = time.perf_counter()
        recognition.read()
        found.append((queued - began, done - began, time.perf_counter() - done))
    queueing, done, reading = (statistics.median(times) for times in zip(*found, strict=True))
    return queueing, done, reading


def _known(device: str) -> float:
    looking, mask = Recogniser(), torch.ones(M, M, dtype=torch.bool, device=device)
    looking(mask, M, M)
    return _least(lambda: [looking(mask, M, M) for _ in range(1000)], device, 5) / 1000


def _least(act: Callable[[], object], device: str, times: int) -> float:
    found = []
    for _ in range(times):
        _wait(device)
        began = time.perf_counter()
        act()
        _wait(device)
        found.append(time.perf_counter() - began)
    return min(found)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "cpu"))
