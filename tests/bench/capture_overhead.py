"""What `capture` costs a training script: `python tests/bench/capture_overhead.py [--cuda]`.

The same small GPT-2 (SDPA, or attention written by hand) is trained plainly and under capture, in fresh
processes that take turns. Steps are told by their lower quartile, in CPU time on a CPU; what begins and
ends a process by the CPU time that is left. Limits: 5% of a step on a CPU, 2% on a GPU, 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
BOOTSTRAP = ROOT / "attnprobe" / "capture" / "bootstrap.py"

SCRIPT = """
import time
import json, sys
import torch
import torch.nn as nn
import torch.nn.functional as F
how, device, steps, L, B, D, layers = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
torch.manual_seed(0)
mask = torch.ones(L, L, dtype=torch.bool, device=device).tril()

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
    def forward(self, x):
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (t.unflatten(-1, (-1, 64)).transpose(1, 2) for t in parts)
        if how == "sdpa":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            y = (q @ k.transpose(-1, -2) * 0.125).masked_fill(~mask, float("-inf")).softmax(-1) @ v
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))

blocks = [Block() for _ in range(layers)]
model = nn.Sequential(nn.Embedding(1024, D), *blocks, nn.Linear(D, 1024)).to(device)
optimizer = torch.optim.AdamW(model.parameters())
tokens = torch.randint(1024, (B, L), device=device)
clock = time.process_time if device == "cpu" else time.perf_counter
times = []
for _ in range(steps):
    began = clock()
    with torch.autocast(device, dtype=torch.bfloat16, enabled=device == "cuda"):
        loss = F.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    if device == "cuda": torch.cuda.synchronize()
    times.append(clock() - began)
all_steps = sum(times)
times = sorted(times[len(times) // 3:])
print(json.dumps({"step": times[len(times) // 4], "loss": loss.item(), "steps": all_steps}))
"""


def trained(folder: Path, captured: bool, arguments: list[str], timing: bool) -> dict[str, float]:
    """One process: a step, the last loss, and the CPU time before and after all steps."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script)]
    if captured:
        told = {
            "target": str(script),
            "module": False,
            "output": str(folder / "capture.json"),
            "steps": None,
            "stop_after": None,
            "timing": timing,
        }
        command = [sys.executable, str(BOOTSTRAP), json.dumps(told)]
    began = _cpu_s()
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "rest": _cpu_s() - began - found["steps"]}


def _cpu_s() -> float:
    """CPU time of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Prints a row per kind of attention."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="GPT-2 small's shapes on a GPU")
    parser.add_argument("--timing", action="store_true", help="with --timing of every call")
    parser.add_argument("--rounds", type=int, default=4)
    given = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    shape = (
        ["cuda", "60", "1024", "8", "768", "12"]
        if given.cuda
        else ["cpu", "30", "128", "4", "256", "4"]
    )
    limit = 0.02 if given.cuda else 0.05
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for how in ("sdpa", "hand-written"):
            rounds = [
                [
                    trained(folder, captured, [how, *shape], given.timing)
                    for captured in (False, True)
                ]
                for _ in range(given.rounds)
            ]
            assert all(plain["loss"] == seen["loss"] for plain, seen in rounds), "other numbers"
            plain = min(pair[0]["step"] for pair in rounds)
            ratio = min(pair[1]["step"] for pair in rounds) / plain - 1
            more = min(seen["rest"] for _, seen in rounds) - min(one["rest"] for one, _ in rounds)
            verdict = "ok" if ratio <= limit else "TOO MUCH"
            print(
                f"{how:13} step {plain * 1e3:7.2f} ms, captured {ratio:+.2%} ({verdict}); "
                f"start and end {more:+.2f} s"
            )


if __name__ == "__main__":
    main()
