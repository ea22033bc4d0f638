"""Claims survive whatever asking for them does to the child."""

from __future__ import annotations

from attnprobe.core.backend_fact import Claim
from attnprobe.core.jsonio import encode
from attnprobe.core.outcome import Crashed, Raised, TimedOut
from attnprobe.errors import UnusableHost
from attnprobe.info.child import claims, facts
from attnprobe.info.words import reasons
from tests.unit.fake_child import FakeChild, Said

FINE = Claim(True, "available", package="xformers", version="0.0.35")


def test_a_death_is_charged_to_the_backend_that_was_asked() -> None:
    """An import that segfaults makes one claim an error; those before and after it are answered."""
    child = FakeChild(
        {
            "eager": {"eager": FINE},
            "flash-attn-3": Crashed("claims", signal="SIGSEGV", stderr_tail="one\nlast words"),
            "varlen": {"varlen": FINE},
        }
    )
    found = claims(child, ["eager", "flash-attn-3", "varlen"])
    assert found["eager"] == found["varlen"] == FINE
    assert found["flash-attn-3"].error == "claims: child died of SIGSEGV | last words"


def test_last_words_are_those_that_help() -> None:
    """What the library said before it died, and where: not the bottom of faulthandler's stack."""
    tail = (
        "terminate called after throwing an instance of 'c10::Error'\n"
        "Fatal Python error: Aborted\n\n"
        "Current thread 0x00007f (most recent call first):\n"
        '  File "/home/someone/lib/site-packages/flash_attn/__init__.py", line 3 in <module>\n'
        '  File "/home/someone/attnprobe/bootstrap.py", line 34 in <module>\n'
    )
    (said,) = reasons(Crashed("claims", "SIGABRT", stderr_tail=tail))
    assert said == (
        "claims: child died of SIGABRT | terminate called after throwing an instance of 'c10::Error'"
        " | in <module>, site-packages/flash_attn/__init__.py line 3"
    )


def test_a_package_that_hung_once_gets_less_time() -> None:
    """Seven backends of a package whose import hangs must not cost seven full deadlines."""
    late = TimedOut("claims", 1.0)
    child = FakeChild({"xformers-a": late, "xformers-b": late, "varlen": {"varlen": FINE}})
    claims(child, ["xformers-a", "xformers-b", "varlen"])
    assert child.deadlines["xformers-b"] < child.deadlines["xformers-a"]
    assert child.deadlines["varlen"] == child.deadlines["xformers-a"]


def test_an_exception_in_the_child_arrives_as_an_outcome() -> None:
    """The child encodes why it could not answer; the host sees the same outcome."""
    raised = Raised("facts", "ModuleNotFoundError", "No module named 'torch'")
    assert facts(FakeChild({"facts": raised})) == raised
    assert facts(FakeChild({"facts": Said(encode(raised)).data})) == raised


def test_a_host_that_cannot_start_a_child_is_a_reason() -> None:
    """On a system without POSIX processes `info` still reports what the host knows."""
    answer = facts(FakeChild({"facts": UnusableHost("measurements need a POSIX system")}))
    assert isinstance(answer, Raised)
    assert "POSIX" in answer.message
