"""The docstring of a script: what is wrong, where it was seen, how to read the exit status."""

from __future__ import annotations

import textwrap

from attnprobe.core.environment import Environment
from attnprobe.core.outcome import Crashed, Measured, OutOfMemory, Raised, Refused, TimedOut
from attnprobe.core.parity import Parity
from attnprobe.core.report import Report
from attnprobe.core.trial import ONE_CALL, Record
from attnprobe.report import plain
from attnprobe.repro import published
from attnprobe.repro.ending import UNTOLD
from attnprobe.repro.frame import Told

_WIDTH = 96
_FAILURES = 3

EXIT = "Exit status: 1 while {it}, 0 once {fixed}, {untold} where neither can be told."


def tell(record: Record, report: Report, package: str, shrunk: str) -> Told:
    """What a maintainer must know before reading the code.

    Args:
        record: What became of the trial.
        report: The session that it is from.
        package: Distribution whose version matters most.
        shrunk: How the case was made smaller, or why it was not.
    """
    trial = record.trial
    asked = "" if trial.question in ONE_CALL else f" ({trial.question})"
    name = trial.backend.rpartition("/")[2]
    title = f"{name} {_headline(record)}{asked}: {trial.case.label}"
    paragraphs = [
        f"Trial {trial.id} of attnprobe. {_seen(record)}",
        *_tail(record),
        published.said(record),
        f"Seen with {_versions(report.environment, package)}.",
        shrunk,
        _limits(record),
        _exit(record),
    ]
    story = "\n\n".join(_wrapped(p) for p in paragraphs if p)
    return Told(_wrapped(_sentence(title)).partition("\n")[0], story)


def wrong(record: Record) -> bool:
    """True when this trial is a complaint: anything but a right answer to a right call."""
    outcome = record.outcome
    if not isinstance(outcome, Measured):
        return True
    failed = outcome.parity is not None and outcome.parity.verdict == "fail"
    return failed or published.shows(record)


def _sentence(text: str) -> str:
    return plain.short(text, _WIDTH - 3)


def _wrapped(text: str) -> str:
    """Printable lines that can neither end the docstring nor escape from it."""
    harmless = plain.line(text, 2000).replace("\\", "/").replace('"""', "'''").rstrip('"')
    return "\n".join(textwrap.wrap(harmless, _WIDTH, break_on_hyphens=False))


def _headline(record: Record) -> str:
    match record.outcome:
        case Measured(parity=Parity(verdict="fail", failures=failures)):
            kinds = ", ".join(dict.fromkeys(failure.kind for failure in failures))
            return f"is wrong [{kinds or 'accuracy'}]"
        case Measured() if wrong(record):
            return "shows a published bug"
        case Measured():
            return "passed"
        case Refused():
            return "refuses"
        case Raised(type=kind):
            return f"raises {kind}"
        case Crashed(signal=signal):
            return f"kills the process{f' with {signal}' if signal else ''}"
        case TimedOut():
            return "hangs"
        case OutOfMemory():
            return "runs out of memory"


def _seen(record: Record) -> str:
    match record.outcome:
        case Measured(parity=Parity(verdict="fail", failures=failures, contract=contract)):
            said = "; ".join(
                f.message + (f" (explained by: {f.hypothesis})" if f.hypothesis else "")
                for f in failures[:_FAILURES]
            )
            more = len(failures) - _FAILURES
            rest = f"; and {more} more" if more > 0 else ""
            return f"{said}{rest}. It was held to the numerics contract {contract}."
        case Measured() if wrong(record):
            return "Its numbers are no cause for complaint; that it gives them is."
        case Measured():
            return "Nothing was found to be wrong with it."
        case Refused(by=by, reasons=reasons):
            return f"Refused by {by}: {'; '.join(reasons)}."
        case Raised(phase=phase, type=kind, message=message):
            return f"In phase {phase}: {kind}: {message}"
        case Crashed(phase=phase, signal=signal, exit_code=code):
            how = signal or f"exit status {code}"
            return f"The process died in phase {phase}: {how}."
        case TimedOut(phase=phase, limit_s=limit):
            return f"It did not end within {limit:g} s, in phase {phase}."
        case OutOfMemory(phase=phase, message=message):
            return f"In phase {phase}: {message}"


def _tail(record: Record) -> list[str]:
    """The last lines of what a dead process printed."""
    match record.outcome:
        case Crashed(stderr_tail=tail) | TimedOut(stack=tail):
            return [f"Its last words: {' | '.join(tail.strip().splitlines()[-6:])}"] if tail else []
        case _:
            return []


def libraries(environment: Environment | None, package: str) -> tuple[str, ...]:
    """Versions of torch and of the library under test; empty when the session holds none.

    Args:
        environment: Where the session was made.
        package: Distribution of the library under test.
    """
    if environment is None:
        return ()
    versions = {p.name.lower().replace("_", "-"): p.version for p in environment.packages}
    torch = environment.torch
    found = [f"torch {torch.version if torch else versions.get('torch', 'unknown')}"]
    if package != "torch":
        found.append(f"{package} {versions.get(package, 'unknown')}")
    if "triton" in versions:
        found.append(f"triton {versions['triton']}")
    if torch and torch.cuda:
        found.append(f"CUDA {torch.cuda}")
    if torch and torch.cudnn:
        found.append(f"cuDNN {torch.cudnn}")
    return tuple(found)


def place(environment: Environment | None) -> tuple[str, ...]:
    """Python, system, processor or GPUs, and driver; empty when the session holds none.

    Args:
        environment: Where the session was made.
    """
    if environment is None:
        return ()
    gpus = tuple(dict.fromkeys(gpu.name for gpu in environment.gpus))
    driver = f"driver {environment.driver}" if environment.driver else ""
    said = (f"Python {environment.python}", environment.os, *(gpus or (environment.cpu,)), driver)
    return tuple(filter(None, said))


def _versions(environment: Environment | None, package: str) -> str:
    found = (*libraries(environment, package), *place(environment))
    return ", ".join(found) or "an environment that the session does not hold"


def _limits(record: Record) -> str:
    outcome = record.outcome
    if isinstance(outcome, Measured) and outcome.parity and outcome.parity.quantities:
        return (
            "The limits in the code are what attnprobe's rounding analysis of this kind of kernel "
            "allows for these very inputs at the place that was worst; everything is compared with "
            "the definition in float64."
        )
    return ""


def _exit(record: Record) -> str:
    match record.outcome:
        case Measured() if not wrong(record):
            it, fixed = "a limit is exceeded", "none is, as it was"
        case Measured():
            it, fixed = "it is wrong", "it is right"
        case Crashed():
            it, fixed = "a child process that makes the call dies", "it survives"
        case TimedOut():
            it, fixed = "a child process that makes the call hangs", "the call returns"
        case _:
            it, fixed = "the exception comes", "the call returns"
    return EXIT.format(it=it, fixed=fixed, untold=UNTOLD)
