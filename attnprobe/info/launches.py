"""The proof that a backend runs: tiny cases, forward and backward, per element type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from attnprobe.core.backend_fact import Claim
from attnprobe.core.case import Case, Lengths, Pass, Storage
from attnprobe.core.outcome import Refused
from attnprobe.core.trial import Record, Trial

DTYPES = ("float32", "bfloat16", "float16")
PASSES: tuple[Pass, ...] = ("fwd", "fwd+bwd")

_B, _H, _M, _K = 2, 4, 128, 64  # inside every backend's limits: whole tiles, head dim 64, no mask


def launch_cases(device: str, storage: Storage = "padded") -> list[Case]:
    """One case per element type and pass, none of them masked.

    Args:
        device: cpu or cuda.
        storage: `padded` is plain full sequences; `packed` is what variable-length kernels take.
    """
    lengths = None if storage == "padded" else Lengths((_M, _M // 2), (_M, _M // 2), storage)
    return [
        Case(
            _B, _H, _H, _M, _M, _K, _K, dtype, device, lengths=lengths, passes=passes, name="launch"
        )
        for dtype in DTYPES
        for passes in PASSES
    ]


def prove(
    run: Callable[[Sequence[Trial]], Iterable[Record]], claims: Mapping[str, Claim], device: str
) -> list[Record]:
    """Launches every backend; those that refuse every plain case are offered packed storage next.

    What is absent is not launched. What could not be asked is: a claim may fail where the kernel works.

    Args:
        run: Runs trials and gives their records.
        claims: By backend.
        device: cpu or cuda.
    """
    names = [name for name, claim in claims.items() if not claim.absent]
    plain = list(run([Trial(case, name) for name in names for case in launch_cases(device)]))
    ran = {record.trial.backend for record in plain if not _said_no(record)}
    cases = launch_cases(device, "packed")
    return plain + list(
        run([Trial(case, name) for name in names if name not in ran for case in cases])
    )


def _said_no(record: Record) -> bool:
    """True for a refusal of the case itself; a package that is not there refuses all storages alike."""
    outcome = record.outcome
    return isinstance(outcome, Refused) and outcome.by in ("library", "attnprobe")
