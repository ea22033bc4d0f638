"""What `capture` sees of packages that people use: the number of calls, their shapes and masks.

Every script trains or runs a tiny model with random weights and needs no network. Expected lines are
those of `conftest.line`. A package that is missing skips its tests; the extra `thirdparty` brings all.
"""

from __future__ import annotations

import pytest

from tests.thirdparty.conftest import Run, lines, require

pytestmark = [pytest.mark.thirdparty, pytest.mark.slow]

CAUSAL = "causal(align=top-left)"
WINDOW = "sliding-window(left=7, right=0, align=top-left)"
TEXT = "B2 H4 M24 K16 float32"
GROUPED = "B2 H4/2 M24 K16 float32"
IMAGE = "B2 H4 M17 K16 float32"
AUDIO = "B2 H4 M40 K16 float32"
CROSS = "B2 H4 M24x40 K16 float32"

HUGGINGFACE = {
    "gpt2": {
        "sdpa": [f"6 sdpa: {TEXT} {CAUSAL} scale=0.25 dropout=0.1 mixed | causal flag"],
        "eager": [
            f"6 hand-written: {TEXT} {CAUSAL} scale=0.25 dropout=0.1 mixed dense-float "
            "| causal float32"
        ],
    },
    "llama": {
        "sdpa": [f"6 sdpa: {GROUPED} {CAUSAL} scale=0.25 mixed | causal flag"],
        "eager": [f"6 hand-written: {TEXT} {CAUSAL} scale=0.25 mixed dense-float | causal float32"],
    },
    "mistral": {
        "sdpa": [f"6 sdpa: {TEXT} {WINDOW} scale=0.25 mixed dense-bool | window bool"],
        "eager": [f"6 hand-written: {TEXT} {WINDOW} scale=0.25 mixed dense-float | window float32"],
    },
    "t5": {
        "sdpa": [
            f"6 sdpa: {TEXT} {CAUSAL} scale=1 bias[1,H,M,N]+grad dropout=0.1 mixed dense-float "
            "| causal float32",
            f"6 sdpa: {TEXT} scale=1 bias[1,H,M,N]+grad dropout=0.1 BMHK dense-float "
            "| all-true float32",
            f"6 sdpa: {TEXT} scale=1 dropout=0.1 mixed dense-float | all-true float32",
        ],
    },
    "bert": {
        "sdpa": [
            f"6 sdpa: {TEXT} scale=0.25 lengths(padded) dropout=0.1 BMHK dense-bool "
            "| key-padding bool keys 24,9"
        ],
        "eager": [
            f"6 hand-written: {TEXT} scale=0.25 lengths(padded) dropout=0.1 BMHK dense-float "
            "| key-padding float32 keys 24,9"
        ],
    },
    "vit": {
        "sdpa": [f"6 sdpa: {IMAGE} scale=0.25 BMHK"],
        "eager": [f"6 hand-written: {IMAGE} scale=0.25 BMHK"],
    },
    "whisper": {
        "sdpa": [
            f"6 sdpa: {TEXT} {CAUSAL} scale=1 | causal flag",
            f"6 sdpa: {CROSS} scale=1",
            f"6 sdpa: {AUDIO} scale=1",
        ],
        "eager": [
            f"6 hand-written: {TEXT} {CAUSAL} scale=1 dense-float | causal float32",
            f"6 hand-written: {CROSS} scale=1",
            f"6 hand-written: {AUDIO} scale=1",
        ],
    },
}
"""Six calls are two layers in three training steps. T5 does not scale, and neither does Whisper after
it has scaled the queries; Llama's own code repeats key heads, SDPA is told of groups."""

OTHERS = {
    ("bloom", "eager"): [
        f"6 hand-written: {TEXT} causal(align=bottom-right) scale=0.25 alibi lengths(padded) "
        "dense-float | causal float32 keys 24,15 left 0,9"
    ],
    ("opt", "sdpa"): [
        f"6 sdpa: {TEXT} causal(align=bottom-right) scale=1 lengths(padded) mixed dense-bool "
        "| causal bool keys 24,15 left 0,9"
    ],
    ("swin", "sdpa"): [
        f"{n} sdpa: {shape} scale=0.353553 bias[{dims}]+grad BMHK dense-float | {kind} float32"
        for shape in ("B32 H2 M16 K8 float32", "B8 H4 M16 K8 float32")
        for n, dims, kind in ((3, "1,H,M,N", "all-true"), (3, "B,H,M,N", "arbitrary"))
    ],
}
"""ALiBi with padding on the left, added in parts; padding on the left; windows whose shift leaves a mask
without a word."""

FLEX = {
    "llama": [f"2 flex: {GROUPED} {CAUSAL} scale=0.25 mixed fwd | causal BlockMask"],
    "mistral": [f"2 flex: {GROUPED} {WINDOW} scale=0.25 mixed fwd | window BlockMask"],
    "whisper": [
        f"2 flex: {TEXT} {CAUSAL} scale=1 fwd | causal BlockMask",
        f"2 flex: {CROSS} scale=1 fwd",
        f"2 flex: {AUDIO} scale=1 fwd",
    ],
}
"""A forward pass: flex_attention has no backward on a CPU. The other models do not offer it."""

MODELS = {
    (model, way): found for model, ways in HUGGINGFACE.items() for way, found in ways.items()
} | OTHERS


@pytest.mark.parametrize(("model", "way"), MODELS)
def test_transformers_calls_are_seen(model: str, way: str, run: Run):
    """A model trained with this implementation of attention makes these calls and no others."""
    require("transformers")
    assert lines(run("huggingface.py", model, way)) == sorted(MODELS[model, way])


@pytest.mark.parametrize("model", FLEX)
def test_flex_attention_is_seen(model: str, run: Run):
    """A BlockMask is the mask that its function says."""
    require("transformers")
    assert lines(run("huggingface.py", model, "flex", seconds=600)) == sorted(FLEX[model])


def test_a_compiled_model_is_seen(run: Run):
    """Inside torch.compile the calls, their shapes and their flags are those of the model as written."""
    require("transformers")
    found = lines(run("huggingface.py", "gpt2", "sdpa", "compiled", seconds=600))
    assert found == HUGGINGFACE["gpt2"]["sdpa"]


TURNS = {
    "t5": {
        f"{TEXT} {CAUSAL} scale=1 bias[1,H,M,N]+grad dropout=0.1 mixed dense-float | causal float32",
        f"{TEXT} scale=1 bias[1,H,M,N]+grad dropout=0.1 BMHK dense-float | all-true float32",
        f"{TEXT} scale=1 dropout=0.1 mixed dense-float | all-true float32",
    },
    "gemma2": {
        f"{TEXT} {WINDOW} scale=0.0625 softcap=50 mixed dense-float | window float32",
        f"{TEXT} {CAUSAL} scale=0.0625 softcap=50 mixed dense-float | causal float32",
    },
}


@pytest.mark.parametrize("model", TURNS)
def test_masks_that_take_turns_at_one_place_are_told_apart(model: str, run: Run):
    """T5's decoder attends itself and the encoder by one line, Gemma 2's layers have windows by turns.

    How often each mask comes is estimated from the calls that were looked at; the sum is exact.
    """
    require("transformers")
    found = lines(run("huggingface.py", model, "eager"))
    assert {said.split(": ")[1] for said in found} == TURNS[model]
    assert sum(int(said.split()[0]) for said in found) == (18 if model == "t5" else 6)


PREFILL = {"dynamic": "M10", "static": "M10x17"}


@pytest.mark.parametrize("cache", PREFILL)
def test_generation_with_a_cache_is_seen(cache: str, run: Run):
    """Prompts padded on the left, then one token at a time: grouped heads are folded into queries."""
    require("transformers")
    seen = run("generate.py", cache)
    decoding, prompt = lines(seen)
    assert prompt == (
        f"2 sdpa: B2 H4 {PREFILL[cache]} K16 float32 causal(align=bottom-right) scale=0.25 "
        "lengths(padded) mixed dense-bool fwd | causal bool keys 10,6 left 0,4"
    )
    assert decoding.startswith("14 sdpa: B2 H2 M2x17 K16 float32 scale=0.25 lengths(padded)")
    assert decoding.endswith("left 0,4")


DECODER = "B4 H4 M33 K16 float32"


@pytest.mark.parametrize("way", ["flash", "plain"])
def test_the_decoder_of_x_transformers_is_seen(way: str, run: Run):
    """Its enwik8 training, whose slow attention xformers issue 700 began with."""
    require("x_transformers")
    seen = run("xtransformers_enwik8.py", *(["flash"] if way == "flash" else []), compare=True)
    assert seen.steps == 3
    assert lines(seen) == (
        [f"12 sdpa: {DECODER} {CAUSAL} mixed | causal flag"]
        if way == "flash"
        else [f"12 hand-written: {DECODER} {CAUSAL} scale=0.25 mixed dense-bool | causal bool"]
    )


VARIANT = "B2 H4 M32 K16 float32"
VARIANTS = {
    "alibi": f"2 hand-written: {VARIANT} {CAUSAL} scale=0.25 alibi BMHK dense-float | causal float32",
    "alibi flash": f"2 sdpa: {VARIANT} {CAUSAL} alibi BMHK dense-float | causal float32",
    "t5": f"2 hand-written: {VARIANT} {CAUSAL} scale=0.25 bias[1,H,M,N]+grad BMHK dense-float "
    "| causal float32",
    "grouped": f"2 hand-written: {VARIANT} {CAUSAL} scale=0.25 mixed dense-bool | causal bool",
    "grouped flash": f"2 sdpa: {VARIANT} {CAUSAL} mixed | causal flag",
    "softclamp": f"2 hand-written: {VARIANT} {CAUSAL} scale=0.25 softcap=50 BMHK dense-bool "
    "| causal bool",
    "padded": f"2 hand-written: {VARIANT} scale=0.25 lengths(padded) BMHK dense-bool "
    "| key-padding bool keys 32,20",
    "padded flash": f"2 sdpa: {VARIANT} lengths(padded) BMHK dense-bool "
    "| key-padding bool keys 32,20",
}


@pytest.mark.parametrize("way", VARIANTS)
def test_ways_of_x_transformers_are_seen(way: str, run: Run):
    """ALiBi, T5's bias, grouped heads, a soft cap and padding, by einsum or through SDPA."""
    require("x_transformers")
    assert lines(run("xtransformers_variants.py", *way.split())) == [VARIANTS[way]]


@pytest.mark.parametrize("way", ["fused", "unfused"])
def test_timm_s_vit_is_seen(way: str, run: Run):
    """One projection for q, k and v; without the fused call the queries are scaled beforehand."""
    require("timm")
    seen = run("timm_vit.py", *(["unfused"] if way == "unfused" else []), compare=True)
    assert lines(seen) == (
        [f"6 sdpa: {IMAGE} packed-qkv"]
        if way == "fused"
        else [f"6 hand-written: {IMAGE} scale=1 BMHK"]
    )


ENCODER = "B3 H4 M20 K16 float32"


def test_torch_s_encoder_is_seen_in_training(run: Run):
    """Padding as nn.MultiheadAttention hands it on, a float mask per sequence, by layer."""
    seen = run("encoder.py", "train", compare=True)
    layer = f"mha: {ENCODER} lengths(padded) dropout=0.1 BMHK dense-float"
    assert lines(seen) == [f"3 {layer} | key-padding float32 keys 20,11,4"] * 2


def test_torch_s_encoder_is_seen_in_its_fast_path(run: Run):
    """In evaluation padding is left out by nested tensors, and a causal mask stays a float tensor."""
    assert lines(run("encoder.py", "eval", compare=True)) == [
        f"2 encoder-fast-path: {ENCODER} lengths(packed) BMHK fwd"
    ]
    assert lines(run("encoder.py", "eval-causal")) == [
        f"2 encoder-fast-path: {ENCODER} {CAUSAL} BMHK dense-float fwd | causal float32"
    ]


@pytest.mark.parametrize("way", ["matmul", "einsum"])
def test_attention_written_by_hand_is_seen(way: str, run: Run):
    """Two products with a softmax between them, by `@` or by einsum."""
    seen = run("nanogpt.py", way, compare=way == "matmul")
    assert lines(seen) == [
        f"6 hand-written: B2 H4 M32 K16 float32 {CAUSAL} scale=0.25 dropout=0.1 packed-qkv "
        "dense-bool | causal bool"
    ]


def test_attention_written_by_hand_is_seen_when_compiled(run: Run):
    """Its products, softmax and mask are found in the graph."""
    seen = run("nanogpt.py", "compiled", seconds=600)
    assert [found.compiled for found in seen.calls] == [True]
    assert lines(seen) == [
        f"6 hand-written: B2 H4 M32 K16 float32 {CAUSAL} scale=0.25 dropout=0.1 BMHK dense-bool "
        "| causal bool"
    ]
