"""What runs on a CPU is right there: values and gradients, three dtypes, every way of saying a mask."""

from __future__ import annotations

import warnings

import pytest
import torch

from attnprobe import masks
from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.score import Bias, Score
from attnprobe.core.trial import Trial
from attnprobe.device.answer import answer
from attnprobe.device.backends import _leaves, load
from attnprobe.device.backends._xformers import _by_operator, canonical_lse
from attnprobe.device.inputs import make
from attnprobe.device.layouts import BMGHK, BMHK, THK, Repeated

PLAIN = Case(B=2, Hq=4, Hkv=4, Mq=32, Mkv=32, K=16, Kv=16, name="plain")
WIDE = PLAIN.edit(Mq=17, Mkv=40)
CASES = (
    PLAIN,
    PLAIN.edit(mask=masks.parse("causal", square=True), name="causal"),
    WIDE.edit(Hkv=2, mask=masks.parse("causal(align=bottom-right)"), name="grouped bottom-right"),
    WIDE.edit(score=Score(bias=Bias(requires_grad=True)), name="bias 1,H,M,N"),
    WIDE.edit(score=Score(bias=Bias(M=False, requires_grad=True)), name="bias 1,H,1,N"),
    WIDE.edit(lengths=Lengths((17, 17), (40, 23)), name="key padding"),
    WIDE.edit(lengths=Lengths((5, 17), (40, 23), "packed"), name="packed"),
    PLAIN.edit(layout="packed-qkv", name="packed-qkv"),
    PLAIN.edit(layout="strided", name="strided"),
    PLAIN.edit(score=Score(scale=0.4, alibi=True), name="alibi"),
    PLAIN.edit(Kv=24, name="Kv"),
)
WITH_BACKWARD = (
    *("eager", "sdpa-math", "sdpa-flash", "sdpa-default"),
    *("njt", "mha", "mha-need-weights", "lucidrains"),
)
FORWARD_ONLY = ("flex-eager", "mha-fast-path")
DTYPES = ("float32", "bfloat16", "float16")


def run(case: Case, backend: str) -> Measured | Refused:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # libraries speak of prototypes and deprecations
        outcome = answer(Trial(case, backend), lambda phase: None)
    assert isinstance(outcome, (Measured, Refused))
    return outcome


@pytest.mark.parametrize("backend", WITH_BACKWARD)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_cpu_backend_runs_is_right(case: Case, backend: str) -> None:
    """It passes its own contract with all gradients, or it refuses with reasons."""
    ran = 0
    for dtype in DTYPES:
        outcome = run(case.edit(dtype=dtype), backend)
        if isinstance(outcome, Refused):
            assert outcome.reasons
            continue
        ran += 1
        assert outcome.parity is not None
        assert outcome.parity.verdict == "pass", outcome.parity.failures
        assert {"out", "dq", "dk", "dv"} <= set(outcome.parity.quantities)
        assert ("dbias" in outcome.parity.quantities) == case.wants_bias_grad
        assert not outcome.unexpected_kernel
    if case is PLAIN:
        assert ran == len(DTYPES), f"{backend} must run the plain case"


@pytest.mark.parametrize("backend", FORWARD_ONLY)
@pytest.mark.parametrize("case", CASES[1:3], ids=lambda case: case.name)
def test_what_has_no_backward_is_right_forward(case: Case, backend: str) -> None:
    """Forward passes; with gradients asked for it refuses."""
    refused = run(case, backend)
    assert isinstance(refused, Refused)
    outcome = run(case.edit(passes="fwd"), backend)
    if isinstance(outcome, Measured):
        assert outcome.parity is not None
        assert outcome.parity.verdict == "pass", outcome.parity.failures


@pytest.mark.parametrize("backend", ["eager", "sdpa-flash", "flex-eager"])
def test_the_log_sum_exp_is_compared_where_it_is_given(backend: str) -> None:
    """Natural logarithm, one number for each row."""
    outcome = run(WIDE.edit(passes="fwd", Hkv=2), backend)
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.quantities["lse"].verdict == "pass"


def test_the_log_sum_exp_of_rows_without_keys_is_no_reason_to_fail() -> None:
    """In a row without keys flash on the CPU has 0 for it; output and gradients are right."""
    tall = PLAIN.edit(Mq=40, Mkv=17, mask=masks.parse("causal(align=bottom-right)"))
    outcome = run(tall, "sdpa-flash")
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass", outcome.parity.failures
    assert outcome.parity.quantities["lse"].verdict == "pass"  # in the other rows


@pytest.mark.slow
def test_compiled_flex_is_right_forward() -> None:
    """One compilation with g++; the kernel that ran is the compiled one."""
    case = PLAIN.edit(passes="fwd", dtype="float32", mask=masks.parse("causal", square=True))
    outcome = run(case, "flex")
    assert isinstance(outcome, Measured)
    assert outcome.parity is not None
    assert outcome.parity.verdict == "pass"
    assert outcome.form.startswith("BlockMask")
    assert not outcome.unexpected_kernel


def test_flash_says_why_it_does_not_take_a_call() -> None:
    """Its own words where it has some, ours where it has none."""
    said = run(PLAIN.edit(Kv=24), "sdpa-flash")
    silent = run(WIDE.edit(score=Score(bias=Bias(requires_grad=True))), "sdpa-flash")
    assert isinstance(said, Refused)
    assert isinstance(silent, Refused)
    assert said.by == silent.by == "library"
    assert "same last dimension" in said.reasons[0]
    assert "gradient" in silent.reasons[0]


def test_the_default_says_which_kernel_it_takes() -> None:
    """A user who selected nothing sees what was selected."""
    plain, strided = run(PLAIN, "sdpa-default"), run(PLAIN.edit(layout="strided"), "sdpa-default")
    assert isinstance(plain, Measured)
    assert isinstance(strided, Measured)
    assert plain.form.endswith("-> FLASH_ATTENTION")
    assert strided.form.endswith("-> MATH")


def test_selecting_a_kernel_leaves_no_trace() -> None:
    """Outside a case's context torch's switches are as they were."""
    flags = torch.backends.cuda.flash_sdp_enabled, torch.backends.cuda.math_sdp_enabled
    run(PLAIN, "sdpa-math")
    assert all(flag() for flag in flags)


def test_a_kernel_is_selected_within_the_context_alone() -> None:
    """`around` is what selects: math runs inside it, flash outside."""
    prepared = load("sdpa-math").prepare(make(PLAIN.edit(dtype="float32")))
    with prepared.around():
        assert not torch.backends.cuda.flash_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled()


def test_a_folded_bias_gets_the_gradient_of_the_bias() -> None:
    """Summed over what it broadcasts over, whatever shape the library takes it in."""
    case = WIDE.edit(score=Score(bias=Bias(M=False, requires_grad=True)))
    inputs = make(case)
    full = torch.randn(2, 4, 17, 40)
    expected = full.sum((0, 2), keepdim=True)
    assert torch.allclose(_leaves.bias_gradient(inputs, full), expected, atol=1e-5)
    merged = _leaves.bias_gradient(inputs, full.reshape(8, 17, 40))
    assert torch.allclose(merged, expected, atol=1e-5)


def test_repeated_and_grouped_heads_agree() -> None:
    """Query head h belongs to key head h // groups in both layouts, and gradients are summed back."""
    k, q = torch.randn(2, 3, 5, 4), torch.randn(2, 6, 5, 4)
    grouped, repeated = BMGHK(2), Repeated(BMHK(), 2)
    assert torch.equal(grouped.native("k", k).flatten(2, 3), repeated.native("k", k))
    assert torch.equal(grouped.native("q", q).flatten(2, 3), repeated.native("q", q))
    assert torch.equal(grouped.canonical("out", grouped.native("q", q)), q)
    for layout in (grouped, repeated):
        summed = layout.canonical("k", torch.ones_like(layout.native("k", k)))
        assert summed.shape == k.shape
        assert torch.equal(summed, torch.full_like(k, 2))


def test_rows_of_full_tensors_follow_each_other() -> None:
    """(B, H, M, K) becomes B sequences in one row and back."""
    q = torch.randn(3, 2, 5, 4)
    rows = THK(3).native("q", q)
    assert torch.equal(rows[5:10], q[1].transpose(0, 1))
    assert torch.equal(THK(3).canonical("q", rows), q)


def test_both_formats_of_a_packed_log_sum_exp_are_read() -> None:
    """One row, or one padded row for each sequence."""
    case = WIDE.edit(lengths=Lengths((5, 17), (40, 23), "packed"))
    packed = torch.arange(4 * 22, dtype=torch.float32).reshape(1, 4, 22)
    padded = torch.full((2, 4, 32), 99.0)
    padded[0, :, :5], padded[1, :, :17] = packed[0, :, :5], packed[0, :, 5:]
    assert torch.equal(canonical_lse(packed, case), packed)
    assert torch.equal(canonical_lse(padded, case), packed)
    assert canonical_lse(torch.zeros(2, 2, 2, 32), WIDE.edit(Hkv=2)).shape == (2, 4, 17)


def test_reasons_of_a_dispatch_name_their_operator() -> None:
    """The library's message is a page; what counts is operator and reason."""
    message = (
        "No operator found\n  query : x\n`fa2F` is not supported because:\n    dropout > 0.0\n    K"
    )
    assert _by_operator(message) == ["fa2F: dropout > 0.0", "fa2F: K"]
