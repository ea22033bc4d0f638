"""From captured calls to cases: what each says, what none can say, and captures that are unsound."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from attnprobe import masks, profiles
from attnprobe.capture import load
from attnprobe.capture.replay import replayed, workload
from attnprobe.capture.replay.pairs import slopes
from attnprobe.cli import main
from attnprobe.core.capture import Call, Capture, CapturedMask
from attnprobe.core.case import Case
from attnprobe.core.jsonio import decode, encode
from attnprobe.core.mask import NONE, Mask
from attnprobe.device import alibi
from attnprobe.errors import AttnprobeError
from attnprobe.masks.causal import causal
from attnprobe.workload import parse
from attnprobe.workload.written import written
from tests.capture.captures import CAUSAL, TRAINING, call, mask, tensor

GOLDEN = Path(__file__).parent / "files" / "training.json"

SQUARE = {"shape": (8, 12, 1024, 64)}
PADDED = mask("key-padding", mask=NONE, broadcast="B,1,1,N", lengths=(1024, 5, 0, 7) * 2)
DOCUMENTS = mask(
    "block-diagonal", mask=causal("top-left"), documents=(((0, 3, 0, 3), (3, 5, 3, 5)),)
)


def of(kind: str = "all-true", form: str = "bool", **fields: object) -> CapturedMask:
    return mask(kind, form, **{"mask": NONE, "broadcast": "1,1,M,N", **fields})


CASES: dict[str, tuple[Call, str, str]] = {
    "causal flag": (
        call(is_causal=True, mask=CAUSAL),
        "B8 H12 M1024 K64 bfloat16 causal(align=top-left) BMHK",
        "",
    ),
    "inference": (call(grad=False), "B8 H12 M1024 K64 bfloat16 BMHK fwd", ""),
    "grouped heads, decode": (
        call((4, 32, 1, 128), (4, 8, 777, 128), grad=False, api="flash-attn-2", is_causal=True),
        "B4 H32/8 M1x777 K128 bfloat16 causal(align=bottom-right) BMHK fwd",
        "",
    ),
    "BMHK of a library": (
        replace(
            call((8, 1024, 12, 64), order=(0, 1, 2, 3), layout="BMHK", api="xformers"), scale=0.5
        ),
        "B8 H12 M1024 K64 bfloat16 scale=0.5 BMHK",
        "",
    ),
    "contiguous": (call(order=(0, 1, 2, 3)), "B8 H12 M1024 K64 bfloat16", ""),
    "all-true mask": (
        call(order=(0, 1, 2, 3), mask=of()),
        "B8 H12 M1024 K64 bfloat16 dense-bool",
        "",
    ),
    "key padding": (
        call(order=(0, 1, 2, 3), mask=PADDED),
        "B8 H12 M1024 K64 bfloat16 lengths(padded) dense-bool",
        "",
    ),
    "left padding": (
        call(order=(0, 1, 2, 3), mask=replace(PADDED, padding_left=(0, 1019, 1024, 1017) * 2)),
        "B8 H12 M1024 K64 bfloat16 lengths(padded) dense-bool",
        "left is replayed on the right",
    ),
    "documents": (
        call((1, 2, 8, 64), order=(0, 1, 2, 3), mask=DOCUMENTS),
        "B2 H2 M5 K64 bfloat16 causal(align=top-left) lengths(packed) dense-bool",
        "",
    ),
    "rows of documents": (
        call((2, 2, 8, 64), order=(0, 1, 2, 3), mask=DOCUMENTS),
        "B2 H2 M8 K64 bfloat16 causal(align=top-left) & block-diagonal(size=4, align=top-left) "
        "dense-bool",
        "documents of 3 to 5 keys are replayed as blocks of 4",
    ),
    "learned bias": (
        call(
            order=(0, 1, 2, 3),
            mask=of(form="float32", values="dense", values_dims="1,H,M,N", requires_grad=True),
        ),
        "B8 H12 M1024 K64 bfloat16 bias[1,H,M,N]+grad dense-float",
        "",
    ),
    "a bias that is zero so far": (
        call(order=(0, 1, 2, 3), mask=of(form="bfloat16", requires_grad=True, broadcast="1,H,M,N")),
        "B8 H12 M1024 K64 bfloat16 bias[1,H,M,N]+grad dense-float",
        "",
    ),
    "ALiBi": (
        call(
            order=(0, 1, 2, 3),
            mask=of(
                "causal",
                "float32",
                mask=causal("top-left"),
                values="alibi",
                values_dims="1,H,M,N",
                slopes=slopes(12),
            ),
        ),
        "B8 H12 M1024 K64 bfloat16 causal(align=top-left) alibi dense-float",
        "",
    ),
    "slopes of its own": (
        call(
            order=(0, 1, 2, 3),
            mask=of(form="bfloat16", values="alibi", values_dims="1,H,M,N", slopes=(1.0,) * 12),
        ),
        "B8 H12 M1024 K64 bfloat16 bias[1,H,M,N] dense-float",
        "",
    ),
    "no word": (
        call(order=(0, 1, 2, 3), mask=of("arbitrary", mask=None, fraction_masked=0.75)),
        "B8 H12 M1024 K64 bfloat16 arbitrary(seed=0, percent=25) dense-bool",
        "25% allowed) is replayed by random pairs",
    ),
    "no word, per head": (
        call(order=(0, 1, 2, 3), mask=of("mixed", mask=None, broadcast="1,H,M,N")),
        "B8 H12 M1024 K64 bfloat16 mask[1,H,M,N] dense-bool",
        "replayed by half of the pairs at random",
    ),
    "Swin's shifted windows": (
        call(
            (32, 2, 16, 8),
            order=(0, 1, 2, 3),
            mask=of(
                "arbitrary",
                "float32",
                mask=None,
                broadcast="B,H,M,N",
                values="dense",
                values_dims="1,H,M,N",
                requires_grad=True,
            ),
        ),
        "B32 H2 M16 K8 bfloat16 bias[B,H,M,N]+grad dense-float",
        "the added values are replayed alone",
    ),
    "heads told by the mask": (
        call(
            (8, 32, 16),
            order=(0, 1, 2),
            layout="BMK",
            api="hand-written",
            mask=of(shape=(2, 4, 32, 32)),
        ),
        "B2 H4 M32 K16 bfloat16 dense-bool",
        "",
    ),
    "not looked at": (
        call(order=(0, 1, 2, 3), mask=of("unknown", mask=None, note="too large")),
        "B8 H12 M1024 K64 bfloat16",
        "its mask: too large",
    ),
    "empty": (
        call((2, 2, 4, 8), order=(0, 1, 2, 3), mask=of("empty", mask=None)),
        "B2 H2 M4 K8 bfloat16 lengths(padded) dense-bool",
        "",
    ),
    "autocast": (
        replace(
            call(order=(0, 1, 2, 3), autocast="bfloat16"),
            q=tensor((8, 12, 1024, 64), dtype="float32", requires_grad=True),
            k=tensor((8, 12, 1024, 64), dtype="float32", requires_grad=True),
            v=tensor((8, 12, 1024, 64), dtype="float32", requires_grad=True),
        ),
        "B8 H12 M1024 K64 bfloat16",
        "",
    ),
    "varlen": (
        replace(
            call((8, 12, 64), order=(0, 1, 2), layout="MHK", api="varlen"),
            lengths_q=(3, 5),
            lengths_kv=(3, 5),
        ),
        "B2 H12 M5 K64 bfloat16 lengths(packed) BMHK",
        "",
    ),
    "a layer": (
        call((8, 100, 256), order=(0, 1, 2), layout="BMD", heads=(4, 4), api="mha", dropout_p=0.1),
        "B8 H4 M100 K64 bfloat16 dropout=0.1 BMHK",
        "",
    ),
    "heads in the batch": (
        call((32, 100, 64), order=(0, 1, 2), layout="BMK", api="hand-written", heads=(4, 4)),
        "B8 H4 M100 K64 bfloat16",
        "",
    ),
    "large logits": (
        call(order=(0, 1, 2, 3), logit_range=(-80.0, 90.0)),
        "B8 H12 M1024 K64 bfloat16",
        "",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_call_becomes_the_case_that_makes_it_again(name: str):
    """Shapes, mask, lengths, bias, layout and pass; and what is left out is said."""
    given, label, unsaid = CASES[name]
    found = replayed(given)
    assert found.case is not None, found.unsaid
    assert found.case.label == label
    assert unsaid in "\n".join(found.unsaid)
    assert bool(found.unsaid) == bool(unsaid), found.unsaid


@pytest.mark.parametrize("name", CASES)
def test_every_case_round_trips(name: str):
    """A case of a capture is a record like any other: JSON and back, and sound."""
    case = replayed(CASES[name][0]).case
    assert case is not None
    assert case.problems == ()
    assert decode(Case, json.loads(json.dumps(encode(case))), {Mask: masks.parse}) == case


def test_large_logits_are_drawn_large():
    """A wide range of logits asks for inputs that have one."""
    case = replayed(CASES["large logits"][0]).case
    assert case is not None
    assert case.family == "large-logits"


def test_slopes_are_those_of_the_device():
    """The torch-free slopes are the ones that cases are computed with."""
    for heads in (1, 8, 12, 71):
        assert slopes(heads) == tuple(alibi.slopes(heads).tolist())


LAYOUTS = {
    "packed-qkv": ((8, 12, 1024, 64), (1024 * 3 * 768, 64, 3 * 768, 1), {"shared_storage": True}),
    "kv-cache": ((8, 12, 100, 64), (12 * 128 * 64, 128 * 64, 64, 1), {}),
    "strided": ((8, 12, 100, 64), (12 * 100 * 128, 100 * 128, 128, 2), {}),
    "expanded-kv": ((8, 12, 100, 64), (0, 6400, 64, 1), {}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strides_are_a_layout(layout: str):
    """Strides that a case has a word for are replayed as they were."""
    shape, stride, fields = LAYOUTS[layout]
    given = call(shape, order=(0, 1, 2, 3), **fields)
    odd = replace(given.k, stride=stride, slots=2**24)
    q = odd if layout in ("packed-qkv", "strided") else given.q
    found = replayed(replace(given, q=q, k=odd, v=odd))
    assert found.case is not None
    assert found.case.layout == layout
    assert found.unsaid == ()


def test_an_offset_is_unaligned():
    """An address that is no multiple of 16 bytes is kept."""
    given = call(order=(0, 1, 2, 3))
    found = replayed(replace(given, q=replace(given.q, storage_offset_bytes=2)))
    assert found.case is not None
    assert found.case.layout == "unaligned"


def test_a_call_that_no_case_has_is_said():
    """An element type without a case gives a reason instead of a case."""
    given = call()
    found = replayed(replace(given, q=replace(given.q, dtype="float8_e4m3fn")))
    assert found.case is None
    assert found.unsaid == ("q is float8_e4m3fn, which no case has",)


def test_calls_of_one_line_have_names_of_their_own():
    """A library's line makes the calls of all models: the module is in the name, and a number."""
    where = "site-packages/transformers/integrations/sdpa_attention.py:193"
    one = call(where=where, module="T5Attention")
    seen = workload(Capture(script="x.py", calls=(one, replace(one, scale=1.0))))
    names = [found.case.name for found in seen.calls]
    assert names == ["T5Attention, sdpa_attention.py:193", "T5Attention, sdpa_attention.py:193 (2)"]


def test_a_workload_counts_calls_per_step():
    """The same case at two places is one call, as often as both in a step; gaps become notes."""
    found = workload(TRAINING)
    assert [(c.case.name, c.calls_per_step, c.backend) for c in found.calls] == [
        ("model.py:52", 24, "sdpa-default"),
        ("bert.py:12", 6, "sdpa-default"),
    ]
    assert found.calls[0].source == "train.py: model.py:52, model.py:70"
    assert "not seen: flash_attn: imported before the hooks" in found.notes


@pytest.mark.parametrize("name", CASES)
def test_a_capture_can_be_written_down(name: str):
    """The YAML of a captured call is read as the same call."""
    seen = workload(Capture(script="a script?.py", steps=1, calls=(CASES[name][0],)))
    again = parse(written(seen), "again")
    assert again.calls == seen.calls


def test_the_golden_file_is_read():
    """A file that was written by this version of the form gives the records that it was made of."""
    assert load.load(GOLDEN) == TRAINING
    assert profiles.load(str(GOLDEN)).calls == workload(TRAINING).calls


BROKEN = {
    "newer": (
        '{"schema": "attnprobe-capture/99", "calls": "of another form"}',
        "newer attnprobe",
        "pip install --upgrade",
    ),
    "cut off": (GOLDEN.read_text()[:900], "is no capture", "attnprobe capture -o"),
    "another type": (
        '{"schema": "attnprobe-capture/1", "calls": 3}',
        "calls",
        "attnprobe capture -o",
    ),
    "a mask of no family": (
        GOLDEN.read_text().replace("causal(align=top-left)", "casual"),
        "mask 'casual' cannot be read",
        "attnprobe capture -o",
    ),
    "no version": ('{"schema": "attnprobe-capture/x"}', "schema is unknown", ""),
    "no call": ('{"schema": "attnprobe-capture/1"}', "no attention call was seen", ""),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bad_capture_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """What, why and how to mend it; exit status 2 and no traceback."""
    text, what, fix = BROKEN[name]
    path = tmp_path / "run.json"
    path.write_text(text)
    assert load.is_capture(path)
    with pytest.raises(AttnprobeError) as raised:
        profiles.load(str(path))
    assert what in str(raised.value)
    assert fix in str(raised.value)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(path)])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_workload_in_json_is_still_one(tmp_path: Path):
    """JSON that says nothing of a capture is read as the YAML that it also is."""
    path = tmp_path / "mine.json"
    path.write_text('{"name": "mine", "cases": [{"Hq": 1, "Mq": 4, "K": 8}]}')
    assert profiles.load(str(path)).name == "mine"


def test_a_capture_of_another_form_of_call_keeps_the_rest():
    """One call that cannot be replayed costs its own case, not the others'."""
    odd = replace(call(), q=tensor((3,)))
    found = workload(Capture(script="x.py", calls=(odd, call())))
    assert len(found.calls) == 1
    assert any("dims is no BHMK" in note for note in found.notes)


def test_a_layer_that_returns_its_weights_is_another_backend():
    """need_weights is the default, and what makes the scores a tensor."""
    plain = call((64, 2, 128), order=(0, 1, 2), api="mha", layout="MBD", heads=(4, 4))
    found = workload(Capture(calls=(plain, replace(plain, notes=("need_weights",), where="b:1"))))
    assert [c.backend for c in found.calls] == ["mha", "mha-need-weights"]
