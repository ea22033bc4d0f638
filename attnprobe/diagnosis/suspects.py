"""What all rules suspect of all calls, each with its prediction and its experiment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from attnprobe import pitfalls
from attnprobe.core.diagnosis import Subject, Suspicion
from attnprobe.core.environment import Environment
from attnprobe.diagnosis.rule import Pitfall, Untestable
from attnprobe.diagnosis.situation import Situation


def suspicions(
    subjects: Sequence[Subject], device: str, environment: Environment, rules: Iterable[str]
) -> list[Suspicion]:
    """Every suspicion, rule by rule.

    Args:
        subjects: The calls of the workload.
        device: Where experiments run.
        environment: The machine.
        rules: Names of pitfalls.
    """
    found: list[Suspicion] = []
    for name in rules:
        rule = pitfalls.load(name)
        for subject in subjects:
            situation = Situation(subject, tuple(subjects), device, environment)
            why = rule.suspect(situation)
            if why is None:
                continue
            found.append(_suspicion(name, rule, situation, why))
            if rule.once:
                break
    return found


def _suspicion(name: str, rule: Pitfall, situation: Situation, why: str) -> Suspicion:
    tried = rule.experiment(situation)
    untestable = tried.why if isinstance(tried, Untestable) else ""
    return Suspicion(
        rule.code,
        name,
        pitfalls.title(name),
        rule.severity,
        situation.subject,
        why,
        rule.predict(situation),
        None if isinstance(tried, Untestable) else tried,
        untestable,
        rule.fix if isinstance(rule.fix, str) else rule.fix(situation),
        rule.references,
    )
