"""A model trained with a backend learns as it does with any other, or the backend is wrong.

What alike means is taken from null runs: the same model, seed and batches with float32 attention whose
results are off by random errors as large as a backend's roundings. Training amplifies such errors, and
their spread at any step is what rounding alone can do. A quarter of the run is one number, the mean of
log(loss). A right backend's number is one more draw from the null's distribution, and a further draw
from a normal distribution, given n draws with mean m and standard deviation s, lies within

    m +- t(n - 1) s sqrt(1 + 1 / n)

(the prediction interval of Student's t), but for 1 in 1,000 over the four quarters together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from statistics import mean, stdev

import torch
from torch import Tensor
from torch.nn import functional

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.parity import Failure, Parity
from attnprobe.core.training import Stretch, Training
from attnprobe.device import remembered
from attnprobe.device.subject import Subject
from attnprobe.device.training.exchange import exchanged, perturbed
from attnprobe.device.training.model import Attention, Gpt, built
from attnprobe.device.training.task import VOCABULARY, Task, certain

STEPS = {"cpu": 100, "cuda": 400}
LEARNING_RATE = 3e-3
NULL_RUNS = 4
STUDENT_T = 20.6
"""Quantile 1 - 0.001 / 8 of Student's t with NULL_RUNS - 1 = 3 degrees of freedom: two sides, four
quarters. Its tail is P(T > t) = 1/2 - (atan(t / sqrt 3) + t sqrt 3 / (t^2 + 3)) / pi."""
QUARTERS = 4
ACCURATE = 0.99
TINY = 1e-9
"""Keeps a loss of 0 from having no logarithm, and null runs that are alike from allowing nothing."""
UNSEEN = 10**6
"""Number of the first batch that no training reaches."""


@dataclass(frozen=True)
class Run:
    """Losses by step, and the share of right next tokens on unseen sequences."""

    losses: tuple[float, ...]
    accuracy: float


def unsuited(case: Case) -> str:
    """Why no model is trained with a case's attention; empty when one is."""
    plain = case.score.is_plain and case.score.scale is None and not case.dropout_p
    if not case.mask.is_causal or case.Mq != case.Mkv or case.lengths is not None or not plain:
        return "the model has plain causal attention over sequences of one length"
    if case.Hq != case.Hkv or case.Kv != case.K or not case.wants_backward:
        return "the model has as many key heads as query heads, one head dim, and is trained"
    return ""


def answer(subject: Subject, form: str) -> Measured | Refused:
    """Trains with the backend, and judges the run by the null runs of the case.

    Args:
        subject: The backend and inputs of a causal case: its sizes are the model's.
        form: How the mask reaches the library.
    """
    case = subject.case
    why = unsuited(case)
    if why:
        return Refused("attnprobe", (why,))
    null = null_runs(case)
    run = trained(case, exchanged(subject.backend, subject.inputs))
    training = Training(
        losses=run.losses,
        accuracy=run.accuracy,
        null_losses=tuple(map(mean, zip(*(other.losses for other in null), strict=True))),
        stretches=stretches(run, null),
        null_runs=len(null),
    )
    return Measured(form, verdict(training, null, subject.contract), training=training)


@lru_cache(maxsize=1)
def null_runs(case: Case) -> tuple[Run, ...]:
    """Runs that differ from each other by rounding alone."""
    inputs = remembered.inputs(case)
    return tuple(trained(case, perturbed(inputs, case.seed + n)) for n in range(NULL_RUNS))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Products as small as the model's gain nothing from threads, and lose much beside other work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@_one_thread()
def trained(case: Case, attention: Attention) -> Run:
    """One model from its first weights to the last step."""
    device = case.device.partition(":")[0]
    task = Task(case.B, case.Mq, case.seed, case.device)
    model = built(case.Hq, case.K, case.Mq, VOCABULARY, case.seed, case.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE)
    losses = []
    for step in range(STEPS[device]):
        logits, targets = _logits(model, task, step, attention, case)
        loss = functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types for it
        optimizer.step()
        losses.append(loss.detach())
    with torch.no_grad():
        held_out = (_logits(model, task, UNSEEN + n, attention, case) for n in range(8))
        right = torch.stack([(x.argmax(-1) == y).float().mean() for x, y in held_out])
    return Run(tuple(round(float(x), 6) for x in losses), float(right.mean()))


def _logits(
    model: Gpt, task: Task, number: int, attention: Attention, case: Case
) -> tuple[Tensor, Tensor]:
    """What the model says of what can be known, float32, and what is right."""
    tokens, following = task.batch(number)
    device, dtype = tokens.device.type, getattr(torch, case.dtype)
    with torch.autocast(device, dtype, enabled=case.dtype == "bfloat16"):
        logits = model(tokens, attention)
    return certain(logits).float(), certain(following)


def stretches(run: Run, null: tuple[Run, ...]) -> tuple[Stretch, ...]:
    """The quarters of a run, each beside what the null runs allow."""
    found = []
    for quarter in range(QUARTERS):
        others = [_log_loss(other, quarter) for other in null]
        spread = stdev(others) * math.sqrt(1.0 + 1.0 / len(others))
        allowed = STUDENT_T * spread + TINY
        found.append(Stretch(_log_loss(run, quarter), mean(others), allowed))
    return tuple(found)


def _log_loss(run: Run, quarter: int) -> float:
    size = len(run.losses) // QUARTERS
    part = run.losses[quarter * size : (quarter + 1) * size]
    return mean(math.log(loss + TINY) if math.isfinite(loss) else math.inf for loss in part)


def verdict(training: Training, null: tuple[Run, ...], contract: str) -> Parity:
    """Pass, fail with every reason, or none where the null runs do not learn either."""
    accuracy = min(run.accuracy for run in null)
    if accuracy < ACCURATE:
        why = f"the model learns only {accuracy:.1%} with float32 attention too"
        return Parity("none", contract, unsaid=why)
    found = []
    if not training.accuracy >= ACCURATE:
        said = f"the trained model gets {training.accuracy:.1%} of the next tokens right, not 99%"
        found.append(Failure("training", said))
    for number, stretch in enumerate(training.stretches, start=1):
        if not stretch.ratio <= 1.0:
            way = "lower" if stretch.log_loss < stretch.expected else "higher"
            off = math.exp(min(abs(stretch.log_loss - stretch.expected), 700.0))
            said = (
                f"in quarter {number} of the training the loss is {off:.3g} times {way} than with "
                f"float32 attention, {stretch.ratio:.3g} times what rounding explains"
            )
            found.append(Failure("training", said))
    return Parity("fail" if found else "pass", contract, failures=tuple(found))
