"""What `diagnose` looks into, what it suspects, what it predicts, and what experiments showed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Literal, get_args

from attnprobe.core.case import Case

Severity = Literal["critical", "high", "medium", "low"]

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The worst first."""

Quantity = Literal[
    "time",
    "wall",
    "time-per-sequence",
    "memory",
    "first-call",
    "wrong",
    "refused",
    "kernel",
    "value",
]

Verdict = Literal["confirmed", "refuted", "inconclusive", "would_test"]

LINKED = (("Hq", "Hkv"), ("Mq", "Mkv"), ("K", "Kv"))
"""Fields that are one dimension where they are equal: a square case made longer is one edit."""


@dataclass(frozen=True)
class Needs:
    """What the user's model needs of an attention call, whatever the case says.

    Args:
        bias_grad: The gradient of a tensor bias.
        lse: The log-sum-exp.
        deterministic: The same bits every time.
        dropout: A dropout probability.
        compile: The call stands inside `torch.compile`.
    """

    bias_grad: bool = False
    lse: bool = False
    deterministic: bool = False
    dropout: float = 0.0
    compile: bool = False


_SHORT = {"float64": "fp64", "float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


@dataclass(frozen=True)
class Subject:
    """An attention call of the user's, as his code makes it today.

    Args:
        case: The call.
        backend: What the code calls; never empty.
        habits: What the code does around the call that no field of the case says (device/habits/).
        calls_per_step: How often one step makes it.
        needs: What the model needs of it.
        step_s: Seconds of one step of the script that makes it, where that was seen.
    """

    case: Case
    backend: str
    habits: tuple[str, ...] = ()
    calls_per_step: int = 1
    needs: Needs = field(default_factory=Needs)
    step_s: float | None = None

    @property
    def where(self) -> str:
        """What people call it; names are often given to grids of element types."""
        case = self.case
        return f"{case.name} {_SHORT[case.dtype]}" if case.name else case.label


@dataclass(frozen=True)
class Arm:
    """One side of an experiment.

    Args:
        case: The call.
        backend: Who makes it: a backend, `written/HABIT` or `mended/HABIT`.
    """

    case: Case
    backend: str


class Confounded(ValueError):
    """Two sides of an experiment differ in more than one thing, or in none."""


@dataclass(frozen=True)
class Experiment:
    """What the user's code does, and the same one edit away.

    Args:
        treatment: With the pitfall: as the code does.
        control: One edit away, without it.
        remedy: The fix, one edit away from the treatment; None where the control is the fix.

    Raises:
        Confounded: More or less than one edit lies between the treatment and another arm.
    """

    treatment: Arm
    control: Arm
    remedy: Arm | None = None

    def __post_init__(self) -> None:
        for name in ("control", "remedy"):
            arm = getattr(self, name)
            if arm is not None and len(found := edits(self.treatment, arm)) != 1:
                what = ", ".join(found) or "nothing"
                raise Confounded(f"treatment and {name} differ in {what}; it must be one thing")

    @property
    def fix(self) -> Arm:
        """The arm that the user is advised to take."""
        return self.remedy or self.control


def edits(one: Arm, other: Arm) -> tuple[str, ...]:
    """The fields in which two arms differ; what is linked and equal on each side counts once."""
    found = [
        f.name
        for f in fields(Case)
        if f.name != "name" and getattr(one.case, f.name) != getattr(other.case, f.name)
    ]
    for first, second in LINKED:
        square = all(getattr(arm.case, first) == getattr(arm.case, second) for arm in (one, other))
        if square and second in found:
            found.remove(second)
    return (*found, "backend") if one.backend != other.backend else tuple(found)


@dataclass(frozen=True)
class Prediction:
    """What an experiment is expected to show, fixed before it runs.

    Args:
        quantity: time: treatment over control, all passes of the case, on a GPU the GPU's time;
            wall: the same as a loop of such calls takes it, launching included; time-per-sequence:
            `time`, each divided by its B; memory: their peaks; first-call: their very first forwards;
            wrong: the treatment's numbers are, the control's are not; refused: the treatment does not
            run (refused, raised, out of memory), the control does; kernel: the treatment's kernels or
            form match `of`, the control's do not; value: what the habit's demonstration calls `of`
            lies in the interval for the treatment, outside for the control.
        low: Least that is expected; 1 for what is only seen or not.
        high: Most that is expected.
        because: The model or measurement that the interval comes from.
        of: Name of the value, or regular expression for kernels.
    """

    quantity: Quantity
    low: float
    high: float
    because: str
    of: str = ""

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"the interval {self.low} to {self.high} is empty")


@dataclass(frozen=True)
class Suspicion:
    """A pitfall that this call may be in, what is predicted, and how it is tried.

    Args:
        code: The rule's, AP001.
        name: The rule's, as in `attnprobe explain`.
        title: What happens, in one sentence.
        severity: How bad it is when it is there.
        subject: The call.
        why: What of the call or the machine raises the suspicion.
        prediction: What the experiment should show; None where there is none.
        experiment: How it is tried; None where it cannot be tried here.
        untestable: Why not, and what would test it.
        fix: Code or command for the API that the user calls.
        references: Public threads and sources, `repository#number` or package@version:path.
    """

    code: str
    name: str
    title: str
    severity: Severity
    subject: Subject
    why: str
    prediction: Prediction | None = None
    experiment: Experiment | None = None
    untestable: str = ""
    fix: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Effect:
    """What was measured, in the terms of the prediction.

    Args:
        low: Lower end of the interval: of treatment over control, of the value, or 0 and 1 for what was
            not seen and seen.
        median: Its middle.
        high: Its upper end.
        treatment: The treatment's own number, in seconds or bytes; None where there is none.
        control: The control's.
        words: What was seen, where a number says too little.
        launch_s: Seconds that the host needs for a call of the control, where that is more than the
            GPU's: then the GPU waits in a loop of such calls.
    """

    low: float
    median: float
    high: float
    treatment: float | None = None
    control: float | None = None
    words: str = ""
    launch_s: float | None = None


@dataclass(frozen=True)
class Remedy:
    """What became of the fix when it was run.

    Args:
        verified: True when it ran, is right, and lacks the pitfall; False when it was run and is not
            a fix here; None when it was not run.
        words: What was seen.
    """

    verified: bool | None
    words: str


@dataclass(frozen=True)
class Finding:
    """A suspicion and what the experiment made of it.

    Args:
        suspicion: What was suspected and predicted.
        verdict: confirmed, refuted, inconclusive; would_test where nothing was run.
        reason: Why this verdict.
        effect: What was measured; None where nothing was.
        saves_s: Seconds per step that the fix saves in a loop of such calls, where launching may set
            the pace; None where that was not measured.
        saves_gpu_s: Seconds of the GPU's time that it saves: what a step gains whose other work keeps
            the GPU busy.
        saves_bytes: Peak memory that it saves.
        remedy: What became of the fix.
        trials: Ids of the trials that show it.
    """

    suspicion: Suspicion
    verdict: Verdict
    reason: str
    effect: Effect | None = None
    saves_s: float | None = None
    saves_gpu_s: float | None = None
    saves_bytes: int | None = None
    remedy: Remedy | None = None
    trials: tuple[str, ...] = ()


@dataclass(frozen=True)
class Passed:
    """A backend that is not advised, and why.

    Args:
        backend: Who.
        why: In a clause.
    """

    backend: str
    why: str


@dataclass(frozen=True)
class Best:
    """The fastest backend that is right for a call on this machine, and gives what the model needs.

    Args:
        subject: The call.
        backend: Who; empty where none is right.
        form: How the mask reaches it.
        now_s: Seconds per call as the code makes it today; None where that is not known.
        best_s: Seconds per call with `backend`.
        speedup: now over best, with its interval; None where now is not known, or where the code calls
            `backend` already and nothing was compared.
        saves_bytes: Peak memory that is saved; None where that is not known.
        now_is: What is wrong with the call as it is; empty when nothing is.
        passed: Who is not advised, and why, the fastest first.
        unasked: Needs that no experiment was run for, in words.
        untimed: True when somebody is right whose time could not be taken: then nobody knows.
    """

    subject: Subject
    backend: str
    form: str = ""
    now_s: float | None = None
    best_s: float | None = None
    speedup: Effect | None = None
    saves_bytes: int | None = None
    now_is: str = ""
    passed: tuple[Passed, ...] = ()
    unasked: tuple[str, ...] = ()
    untimed: bool = False
