"""A trial of a layer is timed and compared like any other, or refused with every reason."""

from __future__ import annotations

import pytest
import torch

from attnprobe.core.case import Case, Lengths
from attnprobe.core.outcome import Measured, Refused
from attnprobe.core.sampling import Sampling
from attnprobe.core.timing import Versus
from attnprobe.core.trial import Trial
from attnprobe.device import room
from attnprobe.device.answer import answer
from attnprobe.device.modules import answer as module
from tests.modules.cases import CAUSAL, case

BRIEFLY = Sampling(target_ci=0.5, budget_s=0.1)


def heard(phase: str) -> None:
    """Nobody listens."""


def refusal(of: Case, variant: str, question: str = "check", rival: str = "") -> Refused:
    outcome = answer(Trial(of, variant, question, rival=rival), heard)
    assert isinstance(outcome, Refused)
    return outcome


def test_the_phases_are_those_of_any_trial() -> None:
    """The host knows what a child was doing when it died."""
    phases: list[str] = []
    answer(Trial(case("swiglu"), "packed", "time", BRIEFLY), phases.append)
    expected = ["prepare", "forward", "backward", "reference", "verify", "weigh", "time"]
    assert phases == expected


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        ("mha-layer", "padded-mha"),
        ("mha-cross", "jagged"),
        ("input-projection", "packed"),
        ("input-projection", "separate"),
        ("gpt-block", "sdpa-default+separate"),
        ("varlen-documents", "padded-sdpa"),
    ],
)
def test_every_pass_is_sampled(name: str, variant: str) -> None:
    """Each duration is there or says why not: how long this machine takes is not for a test to say."""
    outcome = answer(Trial(case(name), variant, "time", BRIEFLY), heard)
    assert isinstance(outcome, Measured)
    assert outcome.timing is not None
    said = " ".join(outcome.timing.withheld)
    for field in ("fwd_s", "bwd_s", "fwd_bwd_s"):
        assert getattr(outcome.timing, field) is not None or field in said
    assert outcome.timing.first_call_s is not None
    assert outcome.timing.peak_bytes is not None
    assert outcome.timing.floor_bytes is not None
    assert outcome.timing.peak_bytes >= outcome.timing.floor_bytes
    assert outcome.timing.flops
    assert outcome.kernels


def test_a_training_step_says_what_its_backward_holds() -> None:
    """Backward alone would not be a number to compare with others' without the update."""
    outcome = answer(Trial(case("gpt-block"), "eager+packed", "time", BRIEFLY), heard)
    assert isinstance(outcome, Measured)
    assert outcome.timing is not None
    assert any("AdamW" in note for note in outcome.timing.notes)


def test_padding_takes_memory() -> None:
    """71 tokens in eight slots of 64, and the same number in one sequence."""
    peaks = []
    for lengths in ((64, 1, 1, 1, 1, 1, 1, 1), (71,)):
        M = max(lengths)
        of = case("mha-layer", B=len(lengths), Mq=M, Mkv=M, lengths=Lengths(lengths, lengths))
        outcome = answer(Trial(of, "padded-sdpa", "time", BRIEFLY), heard)
        assert isinstance(outcome, Measured)
        assert outcome.timing is not None
        peaks.append(outcome.timing.peak_bytes or 0)
    assert peaks[0] > 2 * peaks[1]


def test_two_variants_are_compared_in_the_same_rounds() -> None:
    """A ratio for each pass, or why there is none."""
    outcome = answer(Trial(case("swiglu"), "packed", "compare", BRIEFLY, "separate"), heard)
    assert isinstance(outcome, Measured)
    versus = outcome.versus
    assert versus is not None
    assert versus.rival == "separate"
    said = " ".join(versus.withheld)
    assert all(getattr(versus, f) or f in said for f in ("fwd", "bwd", "fwd_bwd"))


def test_a_rival_is_timed_outside_the_context_of_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Within the context that selects math, torch's own choice would be math, and the ratio 1."""
    enabled: list[bool] = []

    def versus(of: object, to: object, rival: str, *rest: object) -> Versus:
        enabled.append(torch.backends.cuda.flash_sdp_enabled())
        return Versus(rival)

    monkeypatch.setattr(module, "versus", versus)
    rival = "sdpa-default+packed"
    outcome = answer(Trial(case("gpt-block"), "sdpa-math+packed", "compare", BRIEFLY, rival), heard)
    assert isinstance(outcome, Measured)
    assert outcome.versus == Versus(rival)
    assert enabled == [True]


def test_a_turn_is_timed_without_being_judged_again() -> None:
    """Two interpreters take many turns; each was judged once."""
    outcome = answer(Trial(case("swiglu"), "packed", "turn", BRIEFLY), heard)
    assert isinstance(outcome, Measured)
    assert outcome.parity is None
    assert outcome.timing is not None


def test_a_rival_that_is_refused_withholds_the_ratio() -> None:
    """The variant itself is measured all the same."""
    outcome = answer(Trial(case("mha-layer"), "jagged", "compare", BRIEFLY, "packed-varlen"), heard)
    assert isinstance(outcome, Measured)
    assert outcome.versus is not None
    assert "refused" in outcome.versus.withheld[0]


def test_a_variant_that_torch_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested tensors and varlen_attn came with certain releases."""
    monkeypatch.delattr(torch.nested, "nested_tensor_from_jagged")
    refused = refusal(case("mha-layer"), "jagged")
    assert refused.by == "library"
    assert "no jagged nested tensors" in refused.reasons[0]


def test_varlen_says_what_it_needs() -> None:
    """A GPU and sixteen bits."""
    reasons = " ".join(refusal(case("mha-layer"), "packed-varlen").reasons)
    assert "CUDA" in reasons
    assert "float32" in reasons


def test_a_missing_package_is_absent() -> None:
    """No error of the layer."""
    outcome = answer(Trial(case("gpt-block"), "flash-attn-2+packed"), heard)
    assert isinstance(outcome, Refused)
    assert outcome.by in ("absent", "broken", "library")


@pytest.mark.parametrize(
    ("of", "variant", "question", "why"),
    [
        (case("swiglu"), "sdpa-flash", "check", "no variant sdpa-flash"),
        (case("swiglu"), "packed", "mask-decode", "not of a layer"),
        (case("swiglu", dropout_p=0.1), "packed", "check", "dropout_p"),
        (case("swiglu", Hkv=2), "packed", "check", "Hkv"),
        (case("mha-layer", lengths=None, Mkv=9), "jagged", "check", "as many queries as keys"),
        (
            case("mha-layer", B=2, lengths=Lengths((3, 0), (3, 0))),
            "jagged",
            "check",
            "without tokens",
        ),
        (case("mha-cross", mask=CAUSAL), "jagged", "check", "not causal"),
        (case("gpt-block", "float16"), "eager+packed", "check", "loss scaler"),
        (case("gpt-block", passes="fwd"), "eager+packed", "check", "training step"),
        (case("varlen-documents", mask=case("swiglu").mask), "jagged", "check", "causally"),
    ],
)
def test_what_no_layer_is_is_refused_with_the_reason(
    of: Case, variant: str, question: str, why: str
) -> None:
    """In words, not by a traceback of torch."""
    refused = refusal(of, variant, question)
    assert refused.by == "attnprobe"
    assert why in " ".join(refused.reasons)


def test_every_reason_is_given() -> None:
    """Mended one by one, each would cost another run."""
    wrong = case("swiglu", dropout_p=0.1, Hkv=2)
    assert len(refusal(wrong, "sdpa-flash", "mask-decode").reasons) == 4


def test_a_layer_that_does_not_fit_is_not_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The float64 reference is what takes most."""
    monkeypatch.setattr(room, "free_bytes", lambda device: 1000)
    refused = refusal(case("swiglu"), "packed")
    assert refused.by == "memory"
