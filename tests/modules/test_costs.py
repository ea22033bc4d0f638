"""What a layer costs whoever computes it, counted by hand; padding is nobody's work."""

from __future__ import annotations

from attnprobe.core.case import Lengths
from attnprobe.device import modules
from attnprobe.device.modules.swiglu.layer import hidden
from attnprobe.device.modules.varlen_documents.layer import documents
from tests.modules.cases import case


def flops(name: str, **changes: object) -> dict[str, int]:
    of = case(name, **changes)
    return dict(modules.load(name).flops(of))


def test_an_input_projection_is_three_matmuls() -> None:
    """2 T D D each, and twice that for gradients of tokens and weights."""
    fwd = 3 * 2 * (8 * 4) * 64 * 64
    assert flops("input-projection") == {"fwd": fwd, "bwd": 2 * fwd, "fwd+bwd": 3 * fwd}


def test_swiglu_is_three_matmuls_of_llamas_hidden_size() -> None:
    """D = 64: two thirds of 256 is 170, rounded up to 256."""
    fwd = 3 * 2 * 32 * 64 * 256
    assert flops("swiglu")["fwd"] == fwd


def test_llamas_hidden_size_is_llamas() -> None:
    """D = 4096 and a multiple of 256 is 11008, as in Llama 7B."""
    assert hidden(case("swiglu", Hq=32, Hkv=32, K=128, Kv=128)) == 11008


def test_an_attention_layer_projects_and_attends() -> None:
    """Two sequences of 2 and 3 tokens, D = 8: four projections of 5 tokens, and 4 + 9 pairs a head."""
    lengths = Lengths((2, 3), (2, 3))
    found = flops("mha-layer", B=2, Hq=2, Hkv=2, K=4, Kv=4, Mq=100, Mkv=100, lengths=lengths)
    projections, pairs = 4 * 2 * 5 * 8 * 8, 2 * (4 + 9)
    assert found["fwd"] == projections + pairs * 2 * (4 + 4)
    assert found["bwd"] == 2 * projections + pairs * 2 * (3 * 4 + 2 * 4)


def test_padding_counts_as_nothing() -> None:
    """The same sequences in longer slots are the same work."""
    lengths = case("mha-layer").lengths
    assert flops("mha-layer", Mq=17, Mkv=17, lengths=lengths) == flops(
        "mha-layer", Mq=99, Mkv=99, lengths=lengths
    )


def test_a_training_step_counts_its_matmuls() -> None:
    """Per token and block 4 D D for attention's and 6 D D for SwiGLU's, and the head once."""
    D, tokens, pairs = 32, 2 * 16, 2 * 4 * 16 * 17 // 2
    matmuls = 2 * tokens * (3 * 10 * D * D + D * 64)
    assert flops("gpt-block")["fwd"] == matmuls + 3 * pairs * 2 * (8 + 8)


def test_documents_fill_their_rows() -> None:
    """Each row of 64 tokens is cut into one to three documents that make it up again."""
    found = documents(100, 64, seed=3)
    total = 0
    for length in found:
        assert 0 < length <= 64
        assert total // 64 == (total + length - 1) // 64, "a document crosses the end of a row"
        total += length
    assert total == 6400
    assert 200 < len(found) <= 300


def test_the_least_traffic_is_inputs_weights_and_outputs() -> None:
    """Forward reads x and the weights and writes the output; backward also writes their gradients."""
    given = modules.load("swiglu").make(case("swiglu"))
    read, out = 4 * (32 * 64 + 3 * 64 * 256), 4 * 32 * 64
    assert given.demand.bytes_min["fwd"] == read + out
    assert given.demand.bytes_min["bwd"] == 2 * read + out
    assert given.demand.floor_bytes == read + out


def test_the_same_seed_gives_the_same_layer() -> None:
    """Weights too; another seed gives others."""
    make = modules.load("swiglu").make
    one, again, other = (make(case("swiglu", seed=s)) for s in (1, 1, 2))
    assert all(bool((one.tensors[n] == again.tensors[n]).all()) for n in one.tensors)
    assert not bool((one.tensors["w1"] == other.tensors["w1"]).all())
