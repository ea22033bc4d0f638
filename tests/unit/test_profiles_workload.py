"""Workload files: what they mean, and what their author is told when something is wrong."""

from __future__ import annotations

import textwrap

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from attnprobe import lengths
from attnprobe.core.reported import recipe
from attnprobe.core.score import Bias
from attnprobe.errors import UsageError
from attnprobe.workload import MAX_CASES, Workload, parse
from attnprobe.workload.spec import CaseSpec

CASE = "{name: a, Hq: 4, Mq: 16, K: 8}"


def workload(*cases: str, extra: str = "") -> Workload:
    lines = "".join(f"  - {case}\n" for case in cases or (CASE,))
    return parse(f"name: w\n{extra}cases:\n{lines}", "w.yaml")


def complaint(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse(textwrap.dedent(text), "w.yaml")
    return str(caught.value)


def complaint_about(case: str) -> str:
    return complaint(f"name: w\ncases:\n  - {case}\n")


def test_key_sides_default_to_the_query_side():
    """Hkv, Mkv and Kv are Hq, Mq and K when they are not given."""
    (case,) = workload().cases
    assert (case.Hkv, case.Mkv, case.Kv) == (4, 16, 8)


def test_lists_expand_to_a_grid_in_order():
    """Every combination of the listed values is a case, the last field varying fastest."""
    cases = workload("{Hq: 4, Mq: [1, 2], K: [8, 16], dtype: [float32, float16]}").cases
    expected = [(m, k, d) for m in (1, 2) for k in (8, 16) for d in ("float32", "float16")]
    assert [(c.Mq, c.K, c.dtype) for c in cases] == expected


def test_an_entry_overrides_the_defaults():
    """What the entry says wins, even when it says the built-in default again."""
    cases = workload(
        "{Mq: 16}", "{Mq: 16, dtype: bfloat16}", extra="defaults: {Hq: 4, K: 8, dtype: float16}\n"
    ).cases
    assert [c.dtype for c in cases] == ["float16", "bfloat16"]


def test_bare_causal_is_understood_only_on_squares():
    """`causal` without align is top-left where Mq = Mkv and an error elsewhere."""
    (case,) = workload("{Hq: 4, Mq: 16, K: 8, mask: causal}").cases
    assert case.mask.text == "causal(align=top-left)"
    text = complaint_about("{Hq: 4, Mq: 16, Mkv: 17, K: 8, mask: causal}")
    assert "line 3, column" in text
    assert "bottom-right" in text


def test_bare_causal_is_refused_when_lengths_differ():
    """Equal slots are not enough: the sequences inside them must be square too."""
    case = "{B: 2, Hq: 4, Mq: 16, K: 8, mask: causal, kv_lengths: [16, 3]}"
    assert "align" in complaint_about(case)


def test_all_score_fields_reach_the_case():
    """scale, softcap, alibi and bias end up in the Score, the bias with its dims and gradient."""
    (case,) = workload(
        "{Hq: 4, Mq: 16, K: 8, scale: 1, softcap: 20.0, alibi: true, "
        'bias: {shape: "B,1,M,N", requires_grad: true, dtype: float32}}'
    ).cases
    score = case.score
    assert (score.scale, score.softcap, score.alibi) == (1, 20.0, True)
    assert score.bias == Bias(True, False, True, True, requires_grad=True, dtype="float32")


def test_a_missing_side_of_the_lengths_is_full():
    """kv_lengths alone pads the keys and leaves every query real."""
    (case,) = workload("{B: 2, Hq: 4, Mq: 16, K: 8, kv_lengths: [16, 3]}").cases
    assert case.lengths is not None
    assert (case.lengths.q, case.lengths.kv) == ((16, 16), (16, 3))


def test_a_list_of_length_lists_is_a_grid():
    """One list of lengths is one case; a list of lists is one case each."""
    cases = workload("{B: 2, Hq: 4, Mq: 16, K: 8, kv_lengths: [[16, 3], [1, 2]]}").cases
    assert [c.lengths.kv for c in cases if c.lengths] == [(16, 3), (1, 2)]


def test_as_many_sequences_as_lengths():
    """B, Mq and Mkv follow from the lengths where they are not given."""
    (case,) = workload("{Hq: 4, K: 8, lengths: [5, 3, 9], storage: packed}").cases
    assert (case.B, case.Mq, case.Mkv) == (3, 9, 9)
    assert case.lengths is not None
    assert case.lengths.q == case.lengths.kv == (5, 3, 9)


def test_lengths_are_drawn_for_each_side():
    """A name with arguments stands for B lengths; both sides of self attention draw alike."""
    cases = workload(
        "{B: 40, Hq: 4, K: 8, lengths: 'zipf(1.2, seed=1)'}",
        "{B: 40, Hq: 4, K: 8, q_lengths: 'zipf(1.2, seed=1)', kv_lengths: 'zipf(1.2, seed=2)'}",
        "{B: 4, Hq: 4, K: 8, lengths: ['uniform(1, 9)', [4, 3, 2, 1]]}",
    ).cases
    alike, apart, _drawn, listed = (case.lengths for case in cases)
    assert alike is not None
    assert apart is not None
    assert listed is not None
    assert alike.q == alike.kv == apart.q == lengths.draw("zipf(1.2, seed=1)", 40)
    assert apart.kv == lengths.draw("zipf(1.2, seed=2)", 40)
    assert listed.q == (4, 3, 2, 1)
    assert cases[1].Mkv == max(apart.kv) != cases[1].Mq


def test_lengths_that_do_not_fit_are_told():
    """Drawn lengths are held to Mq like written ones; a bad name lists the distributions."""
    assert "0..Mq=4" in complaint_about("{B: 64, Hq: 4, Mq: 4, K: 8, lengths: 'zipf(1.2)'}")
    text = complaint_about("{B: 64, Hq: 4, K: 8, lengths: 'zipff(1.2)'}")
    assert "did you mean zipf" in text
    assert "line 3, column" in text


REPORTED = """\
name: w
about: what it is
backends: [eager, "xformers-*"]
reported:
  - url: https://example.org
    machine: A100
    note: of all
    numbers:
      - {case: CASE, backend: eager, quantity: QUANTITY, value: VALUE, WHERE}
cases:
  - {name: grid, Hq: 4, Mq: [16, 32], K: 8}
  - {name: alone, Hq: 4, Mq: 16, K: 8, device: [cpu]}
""".replace("[cpu]", "cpu")


def reporting(case: str = "alone", quantity: str = "fwd_s", value: str = "0.5", where: str = ""):
    parts = {"CASE": case, "QUANTITY": quantity, "VALUE": value, "WHERE": where or "note: of one"}
    text = REPORTED
    for part, said in parts.items():
        text = text.replace(part, said)
    return text


def test_a_reported_number_is_about_one_case():
    """It knows its case, however that is placed, and carries both notes, machine and address."""
    found = parse(reporting(), "w.yaml")
    (number,) = found.reported
    assert number.recipe == recipe(found.on("cpu", seed=7).cases[2])
    assert (number.value, number.method, number.note) == (0.5, "of all", "of one")
    assert (number.machine, number.url) == ("A100", "https://example.org")
    assert (found.about, found.backends) == ("what it is", ("eager", "xformers-*"))


def test_where_tells_the_cases_of_a_grid_apart():
    """The number belongs to Mq = 32, not to the first of that name."""
    (number,) = parse(reporting("grid", where="where: {Mq: 32}"), "w.yaml").reported
    assert number.recipe == recipe(parse(reporting(), "w.yaml").cases[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"where": "over: eagre"}, "did you mean eager"),
        ({"case": "grid"}, "say which"),
        ({"case": "alnoe"}, "alone"),
        ({"where": "where: {Mq: 17}"}, "'alone' with {'Mq': 17}"),
        ({"where": "where: {Mqq: 16}"}, "did you mean Mq"),
        ({"quantity": "speed"}, "'fwd_s'"),
        ({"value": "-1"}, "greater than 0"),
        ({"value": ".inf"}, "finite"),
        ({"value": "fast"}, "valid number"),
        ({"where": "unit: ms"}, "unknown field 'unit'"),
    ],
)
def test_a_reported_number_that_is_none_is_told(arguments: dict, words: str):
    """Each mistake has its line and says what would be right."""
    text = complaint(reporting(**arguments))
    assert words in text
    assert "line 9, column" in text


@pytest.mark.parametrize(
    "field", ["backends: [sdpa-flsh]", "cases: [{Hq: 4, Mq: 8, K: 8, backend: sdpa-flsh}]"]
)
def test_a_backend_that_nobody_is_is_told(field: str):
    """In the list and in a case, with the nearest name; globs, variants and callables are known."""
    more = "" if field.startswith("cases") else f"cases: [{CASE}]\n"
    text = complaint(f"name: w\n{field}\n{more}")
    assert "did you mean sdpa-flash" in text
    assert "has a problem" in text
    assert "line 2, column" in text
    known = workload(extra='backends: ["sdpa-*", padded-mha, "mine.py:attention"]\n')
    assert known.backends == ("sdpa-*", "padded-mha", "mine.py:attention")


def test_an_address_and_a_machine_are_needed():
    """A number without its source is not accepted."""
    text = complaint(reporting().replace("https://example.org", "a colleague").replace("A100", ""))
    assert "line 5, column" in text
    assert "line 6, column" in text


def test_cases_for_another_device_are_left_out():
    """`auto` becomes the device; a case that names another device is not run on this one."""
    sized = workload("{Hq: 4, Mq: 16, K: 8}", "{Hq: 4, Mq: 32, K: 8, device: cuda}")
    assert [(c.Mq, c.device) for c in sized.on("cpu").cases] == [(16, "cpu")]
    assert [(c.Mq, c.device) for c in sized.on("cuda").cases] == [(16, "cuda"), (32, "cuda")]


def test_the_seed_moves_every_case():
    """`--seed 7` adds 7 to each case's own seed."""
    assert [c.seed for c in workload("{Hq: 4, Mq: 16, K: 8, seed: [0, 3]}").on("cpu", 7).cases] == [
        7,
        10,
    ]


def test_every_problem_is_reported_at_once_with_its_place():
    """Four errors in four places give four lines, each with line and column."""
    text = complaint(
        """\
        name: w
        nme: x
        cases:
          - {Hq: 4, Mq: 16, K: 8, dtype: bf16}
          - {Hq: 4, Mq: 16, K: 8, mask: cauzal}
          - {Hq: 3, Hkv: 2, Mq: 16, K: 8}
        """
    )
    places = ["line 2, column 1", "line 4, column 34", "line 5, column 33", "line 6, column 5"]
    assert [place for place in places if place in text] == places
    assert "4 problems" in text


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("{Hq: 4, Mq: 16, K: 8, dtpye: float32}", "did you mean dtype?"),
        ("{Hq: 4, Mq: 16, K: 8, dtype: bf16}", "did you mean bfloat16"),
        ("{Hq: 4, Mq: 16, K: 8, mask: cauzal}", "causal"),
        ("{Hq: 4, Mq: 16, K: 0}", "greater than or equal to 1"),
        ("{Hq: 4, Mq: 16, K: eight}", "valid integer"),
        ("{Hq: 4, Mq: 16, K: true}", "valid integer"),
        ("{Hq: 4, Mq: [], K: 8}", "Mq is []"),
        ("{Hq: 4, Mq: 16}", "K missing"),
        ("{Hq: 4, Mq: 16, K: 8, bias: {shape: 'H,M'}}", "B,H,M,N"),
        ("{Hq: 4, Mq: 16, K: 8, pass: forward}", "'fwd'"),
        ("{Hq: 4, Mq: 16, K: 8, dropout_p: 1.0}", "less than 1"),
        ("{Hq: 4, Mq: 16, K: 8, scale: .nan}", "finite"),
        ("{Hq: 4, Mq: 16, K: 8, family: gaussian}", "uniform"),
        ("{Hq: 4, Mq: 16, K: 8, name: '\\e[31mred'}", "letters, digits"),
        ("{Hq: 4, Hq: 4, Mq: 16, K: 8}", "given twice"),
        ("{B: 2, Hq: 4, Mq: 16, K: 8, q_lengths: [1, 2, 3]}", "3 and 2 sequences"),
        ("{Hq: 4, Mq: 16, K: 8, q_lengths: [99]}", "0..Mq=16"),
        ("{3: 4}", "plain text"),
        ("just words", "dictionary"),
    ],
)
def test_a_problem_says_what_would_be_allowed(case: str, words: str):
    """Each kind of mistake names the allowed values, the near match or the limit, and its line."""
    text = complaint_about(case)
    assert words in text
    assert "line 3, column" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a\n- b",
        "42",
        "name: w",
        "name: w\ncases: []",
        "name: w\ncases: {}",
        "name: w\ncases: [}",
        "a: &a [*a]",
        "\tname: w",
        "name: w\n---\nname: v",
        "[" * 20_000,
        "{" * 20_000,
        "x: " + "9" * 6000,
        "x: !!int abc",
        "!!python/object/apply:os.system ['true']",
        "name: !!python/name:os.system\ncases: []",
        "<<: *nothing",
        "name: \x00",
        "é" * 70_000,
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
    ],
)
def test_hostile_yaml_is_one_clear_error(text: str):
    """Bombs, cycles, tags, binary and nonsense end in a UsageError, quickly."""
    with pytest.raises(UsageError):
        parse(text, "w.yaml")


def test_a_grid_that_explodes_is_refused_before_it_is_expanded():
    """A product of billions is named, not built."""
    many = str(list(range(1, 301)))
    text = complaint_about(f"{{Hq: 4, Mq: {many}, Mkv: {many}, K: {many}}}")
    assert str(300**3) in text
    assert str(MAX_CASES) in text


def test_entries_that_explode_together_are_refused():
    """Each entry may be small and the file still too large."""
    rows = "".join(f"  - {{Hq: 4, Mq: {list(range(1, 301))}, K: 8}}\n" for _ in range(9))
    assert f"more than {MAX_CASES}" in complaint(f"name: w\ncases:\n{rows}")


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
fields = st.sampled_from(
    [field.alias or name for name, field in CaseSpec.model_fields.items()] + ["x"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(fields, values, max_size=8), st.dictionaries(fields, values, max_size=3))
def test_any_content_is_a_workload_or_a_usage_error(case: dict, defaults: dict):
    """Whatever the fields hold, the answer is sound cases or one UsageError."""
    text = yaml.safe_dump({"name": "w", "defaults": defaults, "cases": [case]}, allow_unicode=True)
    try:
        found = parse(text, "w.yaml")
    except UsageError:
        return
    assert found.cases
    assert not [problem for case in found.cases for problem in case.problems]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_workload_or_a_usage_error(text: str):
    """No string makes the reader raise anything else."""
    with pytest.raises(UsageError):
        parse(text, "w.yaml")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    st.lists(st.integers(1, 9), min_size=1, max_size=3, unique=True),
    st.lists(st.sampled_from(["float32", "bfloat16"]), min_size=1, max_size=2, unique=True),
)
def test_a_grid_holds_each_combination_once(Mq: list, K: list, dtype: list):
    """As many distinct cases as the product of the lists."""
    case = yaml.safe_dump({"Hq": 2, "Mq": Mq, "K": K, "dtype": dtype}, default_flow_style=True)
    cases = workload(case.strip()).cases
    assert len({c.id for c in cases}) == len(cases) == len(Mq) * len(K) * len(dtype)
