"""The bounds behind predictions and suspicions: exact where a kernel's own arithmetic is followed."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from attnprobe import masks, pitfalls
from attnprobe.core.case import Case, Lengths
from attnprobe.core.diagnosis import Needs, Subject
from attnprobe.core.environment import Environment, LoadedLibrary, Package
from attnprobe.diagnosis.situation import Situation
from attnprobe.pitfalls import _machine
from attnprobe.pitfalls._blocks import spoilt
from attnprobe.pitfalls._work import fastest_s, forward_flops
from attnprobe.pitfalls.batch_variance_splitkv import _splits
from attnprobe.pitfalls.fa_abi_mismatch import suspect as suspect_abi
from tests.pitfalls import pairs
from tests.unit.fake_machine import MACHINE, machine, with_packages


def case(**fields: object) -> Case:
    """A call of eight heads on a GPU."""
    given = {
        "B": 2,
        "Hq": 8,
        "Hkv": 8,
        "Mq": 1024,
        "Mkv": 1024,
        "K": 64,
        "Kv": 64,
        "device": "cuda",
    }
    return Case(**(given | fields))  # type: ignore[arg-type] # a bag of fields


def situation(
    call: Case,
    backend: str = "sdpa-default",
    *habits: str,
    environment: Environment = MACHINE,
    needs: Needs | None = None,
) -> Situation:
    """One call on a made-up H200."""
    subject = Subject(call, backend, habits, needs=needs or Needs())
    return Situation(subject, (subject,), call.device, environment)


def packed(*lengths: int) -> Case:
    """Documents in one row."""
    return case(
        B=len(lengths),
        Mq=max(lengths),
        Mkv=max(lengths),
        lengths=Lengths(lengths, lengths, "packed"),
    )


@pytest.mark.parametrize(
    ("made_for", "length", "wrong"),
    [(512, 512, False), (512, 511, True), (500, 511, False), (500, 383, True), (500, 513, True)],
)
def test_blocks_serve_lengths_that_end_in_the_same_block(
    made_for: int, length: int, wrong: bool
) -> None:
    """Full blocks are attended unasked, empty ones are skipped, the partly filled one is asked."""
    assert spoilt(made_for, length) is wrong


def test_a_causal_mask_halves_the_work() -> None:
    """Pairs are counted, not halved: n (n + 1) / 2 of n * n."""
    full, causal = case(), case(mask=masks.parse("causal", square=True))
    assert forward_flops(causal) / forward_flops(full) == pytest.approx(1025 / 2048)


def test_no_kernel_beats_the_bound_seen_on_an_h200() -> None:
    """CuDNN took 44 us for B2 H8 M2048 K64 in bfloat16."""
    assert fastest_s(case(Mq=2048, Mkv=2048)) < 44e-6


def test_dropout_masks_differ_by_the_root_of_two_p() -> None:
    """Independent masks of half of the weights are as far apart as one is long."""
    rule = pitfalls.load("ckpt-dropout-rng")
    found = rule.predict(situation(case(dropout_p=0.5), "sdpa-default", "checkpoint-without-rng"))
    assert math.sqrt(found.low * found.high) == pytest.approx(1.0, rel=0.02)


@pytest.mark.parametrize(("B", "splits"), [(1, 32), (16, 2), (27, 1), (32, 1)])
def test_flash_splits_keys_until_the_gpu_is_full(B: int, splits: int) -> None:
    """132 SMs are 264 slots; 8 heads of one block of queries, 32 blocks of keys."""
    call = case(B=32, Mq=16, Mkv=4096, K=128, Kv=128, passes="fwd")
    assert _splits(situation(call, "sdpa-flash"), B) == splits


def test_a_mean_that_fills_the_longest_ones_last_block_loses_nothing() -> None:
    """Lengths within one block of 128 of their mean are all computed."""
    rule = pitfalls.load("varlen-max-seqlen-too-small")
    habit = "varlen-mean-length"
    assert rule.suspect(situation(packed(400, 416, 400), "varlen", habit)) is None
    assert "512 of 1216 rows" in str(
        rule.suspect(situation(packed(1024, 128, 64), "varlen", habit))
    )


def test_copies_of_dq_follow_heads_and_sms() -> None:
    """B * H = 16 on 132 SMs: nine copies of 8 MiB over outputs and gradients of 16 MiB."""
    rule = pitfalls.load("deterministic-mode-side-effects")
    here = situation(case(Mq=2048, Mkv=2048), "sdpa-default", "deterministic-mode")
    found = rule.predict(here)
    assert "9 float32 copies" in str(rule.suspect(here))
    assert found.low < (16 + 72) / (16 + 8) < found.high


def test_two_blocks_of_keys_have_one_order_of_adding() -> None:
    """Zero and two terms sum to the same bits in either order."""
    rule = pitfalls.load("nondeterministic-backward")
    needs = Needs(deterministic=True)
    assert rule.suspect(situation(case(Mkv=256, Mq=256), "sdpa-flash", needs=needs)) is None
    assert rule.suspect(situation(case(), "sdpa-flash", needs=needs))
    assert rule.suspect(situation(case(), "sdpa-mem-efficient", needs=needs)) is None


@pytest.mark.parametrize(
    ("version", "suspected"),
    [("2.8.3", True), ("2.8.3+cu13torch2.11cxx11abiTRUE", False), ("2.9.9", False)],
)
def test_a_wheel_is_suspected_by_what_is_known_of_it(version: str, suspected: bool) -> None:
    """Of releases that nobody has looked up nothing is said."""
    environment = with_packages(Package("flash-attn", version))
    here = situation(case(), "flash-attn-2", environment=environment)
    assert (suspect_abi(here) is not None) is suspected


def test_a_library_that_was_loaded_all_the_same_is_not_missing() -> None:
    """A runtime that is loaded first serves an extension whose loader would not find it."""
    missing = LoadedLibrary("libcudart.so.12", needed_by="xformers: _C.so", missing=True)
    loaded = LoadedLibrary("libcudart.so.12", path="nvidia/cuda_runtime/lib/libcudart.so.12")
    alone = situation(case(), "xformers-default", environment=machine(libraries=(missing,)))
    both = situation(case(), "xformers-default", environment=machine(libraries=(missing, loaded)))
    assert _machine.lacking(alone, "xformers").libraries == (missing,)
    assert _machine.lacking(both, "xformers").libraries == ()


@pytest.mark.parametrize("file", sorted((pairs.FOLDER.parent / "machines").glob("*.py")))
def test_a_sound_machine_raises_no_suspicion(file: Path) -> None:
    """What is wrong with a machine is asked of the sound one as well."""
    pair = pairs.load(file.stem.replace("_", "-"))
    for device in pair.devices:
        assert pair.suspected("has", device)
        assert pair.suspected("healthy", device) == []
