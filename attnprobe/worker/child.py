"""The child: answers one request after the other until its pipe closes, or until it must be retired."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Outcome, OutOfMemory, Raised
from attnprobe.worker.confine import confine, share_cores, show_stacks
from attnprobe.worker.guard import Phases, guarded, outcome_of
from attnprobe.worker.preload import locate, preload
from attnprobe.worker.protocol import read_trial
from attnprobe.worker.wire import Receiver, send

Answer = Callable[..., Outcome]


def main(told: Mapping[str, Any]) -> None:
    """Entry of a child that was started as a process of its own, without a fork server."""
    show_stacks()
    if told["preload"]:
        send(told["answers"], {"loaded": preload(told["entry"])})
    serve(told, told["requests"], told["answers"], told["host"])


def serve(told: Mapping[str, Any], requests: int, answers: int, parent: int) -> None:
    """Answers requests; never returns.

    Args:
        told: What the host told the bootstrap: `entry`, `memory_limit_bytes` and, where several children
            work side by side, `threads` matter here.
        requests: Descriptor that the host's requests arrive on.
        answers: Descriptor that answers leave on.
        parent: Process id of whoever started this process.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr] # TextIOWrapper at start
    for descriptor in (requests, answers):
        os.set_inheritable(descriptor, False)  # what a trial starts must not hold our pipes open
    confine(parent, told["memory_limit_bytes"])
    if told.get("threads"):
        share_cores(told["threads"])
    answer = _entry(told["entry"])
    inbox, me = Receiver(requests), os.getpid()
    send(answers, {"ready": me})
    while (message := inbox.next()) is not None:
        reply = _reply(message, answer, answers)
        if os.getpid() != me:
            os._exit(0)  # the trial forked, and this is its copy of us: it must not answer
        send(answers, reply)
        if reply.get("retire"):
            break
    os._exit(0)  # no exit handlers: a device that hangs in its teardown would keep us


def _entry(entry: str) -> Answer:
    """The function that answers trials; when it cannot be imported, one that says why."""
    try:
        return locate(entry)
    except BaseException as error:  # noqa: BLE001 - the child's boundary: every trial reports it
        failure = outcome_of(error, "import")
        return lambda trial, announce: failure


def _reply(message: Mapping[str, Any], answer: Answer, answers: int) -> dict[str, Any]:
    phases = Phases(lambda phase: send(answers, {"phase": phase}))
    if message["do"] != "trial":
        return {"answer": encode(_fact(message))}
    outcome = guarded(lambda: answer(read_trial(message), phases.announce), phases)
    phases.stop()
    reply: dict[str, Any] = {"answer": {"outcome": encode(outcome), "phases": phases.seconds}}
    if isinstance(outcome, OutOfMemory) or (isinstance(outcome, Raised) and outcome.sticky):
        reply["retire"] = True  # what holds the memory may be what an earlier trial never gave back
    return reply


def _fact(message: Mapping[str, Any]) -> Any:
    """What the device half says of itself, or the outcome that kept it from doing so."""
    try:
        if message["do"] == "facts":
            return importlib.import_module("attnprobe.device.facts").facts()
        return importlib.import_module("attnprobe.device.claims").claims(message["backends"])
    except BaseException as error:  # noqa: BLE001 - the child's boundary: an Outcome says why
        return outcome_of(error, message["do"])
