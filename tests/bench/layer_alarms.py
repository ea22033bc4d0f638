"""How close right variants of layers come to being called wrong: layer_alarms.py [SEEDS] [--compiled].

Every variant that runs here, on other numbers and other lengths with every seed. For each layer and
dtype it prints the largest norm of an error and the largest element, over what is allowed (1 is the
limit), and of which variant and tensor. `device/modules/judge.py` quotes 12 seeds on a CPU.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator

import torch

from attnprobe.core.case import Case, Lengths
from attnprobe.device import modules
from attnprobe.device.modules import truth as known
from attnprobe.device.modules.answer import Contestant
from attnprobe.device.modules.base import COMPILED
from attnprobe.device.modules.judge import NO_EVIDENCE, Error
from attnprobe.device.subject import Declined
from tests.modules.cases import CASES, CAUSAL, case

DTYPES = ("float32", "bfloat16", "float16")
DRAWN = (1, 2, 3, 5, 9, 17, 36, 60)
SEQUENCES = 12


def cases(seed: int, device: str) -> Iterator[Case]:
    """One of every layer and dtype; lengths, and whether it is causal, follow from the seed."""
    drawn = random.Random(seed)
    for name in CASES:
        for dtype in DTYPES:
            of = case(name, dtype, seed=seed, device=device)
            if name in ("mha-layer", "mha-cross"):
                q = tuple(drawn.choice(DRAWN) for _ in range(SEQUENCES))
                kv = tuple(drawn.choice(DRAWN) for _ in q) if name == "mha-cross" else q
                mask = CAUSAL if name == "mha-layer" and seed % 2 else of.mask
                sizes = {"B": SEQUENCES, "Mq": max(q), "Mkv": max(kv)}
                of = of.edit(lengths=Lengths(q, kv), mask=mask, **sizes)
            if not modules.load(name).problems(of):
                yield of


def shares(of: Case, compiled: bool) -> Iterator[tuple[float, float, str]]:
    """Norm and largest element of each tensor's error over what is allowed, and whose it is."""
    layer, given, truth = modules.load(of.module), known.inputs(of), known.truth(of)
    for variant in modules.variants(of.module):
        if variant.endswith(COMPILED) and not compiled:
            continue
        contestant = Contestant(layer, variant, given, lambda phase: None)
        try:
            prepared = contestant.prepare()
        except Declined:
            continue
        with prepared.around():
            found = contestant.launch(prepared)[0]
        for name, right in truth.tensors.items():
            limit, error = truth.limits[name], Error.of(found[name], right)
            if limit.norm <= NO_EVIDENCE * float(torch.linalg.vector_norm(right)):
                whose = f"{variant}: {name}"
                yield error.norm / limit.norm, error.element / limit.element, whose


def main(seeds: int, compiled: bool) -> None:
    """Prints one line per layer and dtype."""
    device, seen = "cuda" if torch.cuda.is_available() else "cpu", 0
    norms: dict[tuple[str, str], tuple[float, str]] = {}
    elements: dict[tuple[str, str], tuple[float, str]] = {}
    for seed in range(seeds):
        for of in cases(seed, device):
            key = of.module, of.dtype
            for norm, element, whose in shares(of, compiled):
                norms[key] = max(norms.get(key, (0.0, "")), (norm, whose))
                elements[key] = max(elements.get(key, (0.0, "")), (element, whose))
                seen += 1
    for key, (norm, whose) in norms.items():
        element, other = elements[key]
        print(f"{key[0]:18} {key[1]:9} norm {norm:.2f} ({whose}), element {element:.2f} ({other})")
    print(f"{seen:,} tensors of right variants on {device}")


if __name__ == "__main__":
    numbers = [int(argument) for argument in sys.argv[1:] if argument.isdecimal()]
    main(numbers[0] if numbers else 12, "--compiled" in sys.argv)
