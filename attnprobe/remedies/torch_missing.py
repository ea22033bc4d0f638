"""torch is not there, or cannot be imported: nothing can be launched."""

from __future__ import annotations

from attnprobe.core.backend_fact import BackendFact
from attnprobe.core.environment import Environment
from attnprobe.remedies._look import package
from attnprobe.remedies._phrases import fix_for


def matches(environment: Environment, facts: tuple[BackendFact, ...]) -> str | None:
    """Tells apart a torch that is absent and one that is broken."""
    if environment.torch is not None:
        return None
    if not environment.python:
        return (
            f"The interpreter could not be asked: {environment.torch_error}. Fix: check --python."
        )
    on_disk = package(environment, "torch")
    if on_disk is None:
        return (
            "torch is not installed in this interpreter. Fix: install it, or name the interpreter that "
            "has it with --python PATH."
        )
    fix = fix_for(environment.torch_error) or "reinstall torch with all its nvidia packages"
    return (
        f"torch {on_disk.version} is installed and cannot be imported: {environment.torch_error}. "
        f"Fix: {fix}."
    )
