"""Every workload that ships: sound, sourced, small enough, and meaning what its source says."""

from __future__ import annotations

from fnmatch import fnmatchcase

import pytest

from attnprobe import profiles
from attnprobe.core.case import Case
from attnprobe.core.cost import flops, pairs
from attnprobe.core.report import Report
from attnprobe.core.reported import recipe
from attnprobe.device import backends, modules
from attnprobe.profiling import contestants
from attnprobe.redact import Identity, redact

MODELS = [n for n in profiles.names() if not n.startswith("check-")]
"""Workloads that are timed; those of `check` are attnprobe's own."""

WANTED = {
    *("xformers-vs-naive", "xformers-issue-700", "varlen-tutorial", "njt-vs-padded-mha"),
    *("packed-projections", "gpt-block-training", "flex-alibi-njt", "flex-causal-blockmask"),
    *("llama3-8b", "llama3-70b", "mistral-window", "gemma-softcap-window", "t5-bias", "vit", "dit"),
    *("stable-diffusion-unet", "bert-padding", "whisper-cross", "long-context-128k", "mla-192-128"),
    *("first-timing", "flash-decoding"),
}
SMALL_FLOPS = 4e9
"""Forward, of a case for a CPU: two cores do 50e9 a second, and each backend runs it some 30 times."""


ON_CPU = {"eager", "sdpa-default", "sdpa-math", "sdpa-flash", "flex", "mha", "njt", "lucidrains"}


def cases_of(workload: str, name: str) -> list[Case]:
    found = [case for case in profiles.load(workload).cases if case.name == name]
    assert found, f"{workload} has no case {name}"
    return found


def test_all_of_them_are_there():
    """What people run, and the tutorials and threads that they read."""
    assert set(MODELS) == WANTED


@pytest.mark.parametrize("name", profiles.names())
def test_it_says_what_it_is(name: str):
    """In one line, for the list."""
    assert profiles.load(name).about


@pytest.mark.parametrize("name", MODELS)
def test_every_shape_has_an_address(name: str):
    """Each case's source is a URL, or another case of the file and how it differs from that one."""
    workload = profiles.load(name)
    named = {call.case.name for call in workload.calls}
    for call in workload.calls:
        source = call.source or workload.source
        derived = source.partition(", ")[0] in named - {call.case.name}
        assert "https://" in source or derived, f"{call.case.name}: {source}"


@pytest.mark.parametrize("name", MODELS)
def test_it_has_cases_for_a_gpu_and_small_ones_for_a_cpu(name: str):
    """What a CPU runs is named so, and only that."""
    workload = profiles.load(name)
    on_cpu, on_gpu = workload.on("cpu").cases, workload.on("cuda").cases
    assert on_cpu
    assert on_gpu
    assert {case.name.endswith("-small") for case in on_cpu} == {True}
    assert {case.name.endswith("-small") for case in on_gpu} == {False}


@pytest.mark.parametrize("name", MODELS)
def test_a_cpu_answers_within_seconds(name: str):
    """Few cases, of little work each."""
    found = profiles.load(name).on("cpu").cases
    assert len(found) <= 3
    assert max(flops(case, "fwd") for case in found) <= SMALL_FLOPS


@pytest.mark.parametrize("name", [n for n in MODELS if n != "first-timing"])
def test_what_it_compares_exists_and_is_few(name: str):
    """Every name or glob of `backends` is a backend, or a variant of a layer in the file.

    A second each, with its comparison, is a minute on a GPU.
    """
    workload = profiles.load(name)
    layers = {case.module for case in workload.cases} - {""}
    known = {*backends.names(), *(v for layer in layers for v in modules.variants(layer))}
    for wanted in workload.backends:
        assert [n for n in known if fnmatchcase(n, wanted)], wanted
    assert len(workload.backends) * len(workload.on("cuda").cases) <= 48


@pytest.mark.parametrize("name", [n for n in MODELS if n != "first-timing"])
def test_a_cpu_has_something_to_compare(name: str):
    """At least two of what is compared run on one, forward at least."""
    workload = profiles.load(name)
    asked = contestants.choose(workload.calls, workload.backends)
    for call in workload.on("cpu").calls:
        if not call.case.module:
            assert len(ON_CPU & set(asked.of(call))) >= 2, call.case.name


@pytest.mark.parametrize("name", [n for n in MODELS if n != "first-timing"])
def test_what_the_users_code_calls_is_among_them(name: str):
    """Otherwise nothing could be compared with it."""
    workload = profiles.load(name)
    asked = contestants.choose(workload.calls, workload.backends)
    for call in workload.calls:
        assert call.backend in asked.of(call), call.case.name
        assert asked.rival(call) == call.backend


@pytest.mark.parametrize("name", MODELS)
def test_what_is_reported_is_run(name: str):
    """Case and backend of every number are what `profile` measures unless told otherwise."""
    workload = profiles.load(name)
    shapes = {recipe(case): case for case in workload.on("cuda", seed=3).cases}
    asked = contestants.choose(workload.calls, workload.backends)
    calls = {recipe(call.case): call for call in workload.calls}
    for number in workload.reported:
        case = shapes[number.recipe]
        assert {number.backend, number.over} - {""} <= set(asked.of(calls[number.recipe]))
        wants = number.quantity.removesuffix("_s").removesuffix("_flops")
        assert wants == "peak_bytes" or case.wants_backward or wants == "fwd"


@pytest.mark.parametrize("name", MODELS)
def test_no_source_is_taken_for_a_secret(name: str):
    """Addresses and machines of sources survive the redaction of a session."""
    told = Report(reported=profiles.load(name).reported)
    assert (
        redact(told, Identity(users=("jane",), hosts=("node-17",), homes=("/home/jane",))) == told
    )


def keys_of(case: Case, i: int) -> list[int]:
    """Which keys query `i` attends."""
    return [j for j in range(case.Mkv) if case.mask.allows(i, j, case.Mq, case.Mkv)]


def test_mistral_sees_4096_keys_itself_included():
    """sliding_window: 4096 counts the token, in prefill and in decoding."""
    prefill, *_ = cases_of("mistral-window", "prefill")
    (decode,) = cases_of("mistral-window", "decode")
    assert keys_of(prefill, 5000) == list(range(5000 - 4095, 5001))
    assert keys_of(decode, 0) == list(range(8192 - 4096, 8192))


def test_gemma_caps_at_50_and_windows_at_4096():
    """The cap is on every layer, the window on half of them, the 27B's scale is 144 ** -0.5."""
    (window,) = cases_of("gemma-softcap-window", "9b-window")
    assert len(keys_of(window, 8000)) == 4096
    cases = profiles.load("gemma-softcap-window").cases
    assert {case.score.softcap for case in cases} == {50.0}
    (larger,) = cases_of("gemma-softcap-window", "27b-global")
    assert larger.scale == pytest.approx(144**-0.5)


@pytest.mark.parametrize("workload", ["llama3-8b", "llama3-70b"])
def test_a_decoded_token_sees_the_whole_cache(workload: str):
    """Bottom-right: the one query is the last token."""
    for case in cases_of(workload, "decode"):
        assert case.mask.is_idle(case.Mq, case.Mkv)
        assert case.Mkv <= 131072


def test_a_chunk_sees_what_precedes_it():
    """The first of 512 new tokens sees the 7680 in the cache and itself."""
    (chunk,) = cases_of("llama3-8b", "chunk")
    assert keys_of(chunk, 0) == list(range(7681))


def test_t5_does_not_scale_and_learns_its_bias():
    """Logits are q.k plus a bias shared by the batch, whose gradient is wanted; BLOOM scales."""
    for case in cases_of("t5-bias", "encoder"):
        assert case.scale == 1.0
        assert case.wants_bias_grad
        assert case.bias_shape == (1, 12, 512, 512)
    (bloom,) = cases_of("t5-bias", "bloom-alibi")
    assert bloom.scale == 128**-0.5
    assert bloom.score.alibi


@pytest.mark.parametrize(
    ("workload", "name"),
    [("whisper-cross", "cross"), ("vit", "vit-base"), ("dit", "flux"), ("bert-padding", "full"),
     ("stable-diffusion-unet", "self-64"), ("varlen-tutorial", "all-slots")],
)  # fmt: skip
def test_no_mask_where_the_model_has_none(workload: str, name: str):
    """Encoders, images and cross attention attend everything."""
    for case in cases_of(workload, name):
        assert case.mask.is_none
        assert case.lengths is None


def test_the_varlen_tutorials_documents_are_those_it_prints():
    """cu_seq 0, 32, 47, 64, 92, 103, 128, 168, 177, 192: nine documents in three rows of 64."""
    (case,) = cases_of("varlen-tutorial", "tutorial")
    assert case.lengths is not None
    starts = [sum(case.lengths.q[:n]) for n in range(len(case.lengths.q) + 1)]
    assert starts == [0, 32, 47, 64, 92, 103, 128, 168, 177, 192]
    assert case.q_shape == (1, 4, 192, 32)
    assert case.mask.is_causal


def test_documents_attend_themselves_alone():
    """Pairs of a packed row are those of its documents, not of the row."""
    (case,) = cases_of("varlen-tutorial", "documents")
    within = sum(pairs(case.mask, s.Mq, s.Mkv) for s in case.sequences)
    assert within < pairs(case.mask, *2 * [sum(s.Mq for s in case.sequences)]) / 20


def test_half_of_berts_slots_are_empty():
    """And the packed sequences are as long as the padded ones."""
    (padded,) = cases_of("bert-padding", "padded")
    (packed,) = cases_of("bert-padding", "packed")
    assert padded.lengths is not None
    assert packed.lengths is not None
    assert padded.lengths.kv == packed.lengths.kv == packed.lengths.q
    assert padded.lengths.q == (512,) * 32
    assert sum(padded.lengths.kv) / (32 * 512) == pytest.approx(0.5, abs=0.06)


def test_sentences_are_about_21_words_long():
    """As in the tutorial: 512 sentences, some 10,700 words, causal in self attention alone."""
    (layer,) = cases_of("njt-vs-padded-mha", "self")
    (cross,) = cases_of("njt-vs-padded-mha", "cross")
    assert layer.lengths is not None
    assert cross.lengths is not None
    assert sum(layer.lengths.q) / 512 == pytest.approx(20.8, rel=0.1)
    assert layer.lengths.q == layer.lengths.kv == cross.lengths.q != cross.lengths.kv
    assert layer.mask.is_causal
    assert cross.mask.is_none


def test_the_issue_compares_one_mask_in_two_forms():
    """The causal tensor and the causal class attend the same pairs; only how it is said differs."""
    told = {case.mask_form: case for case in profiles.load("xformers-issue-700").on("cuda").cases}
    assert told["best"].mask == told["dense-float"].mask
    assert (told["best"].B, told["best"].Hq, told["best"].Mq, told["best"].K) == (2, 8, 2048, 64)


def test_latent_attention_has_two_head_dims():
    """192 and 128; absorbed, one key head of 576 whose first 512 are the values."""
    (prefill,) = cases_of("mla-192-128", "prefill")
    (decode,) = cases_of("mla-192-128", "decode-absorbed")
    assert (prefill.K, prefill.Kv) == (192, 128)
    assert (decode.Hkv, decode.K, decode.Kv) == (1, 576, 512)
