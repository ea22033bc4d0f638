"""Masks one step from having a name, values of float masks, and what looking must not do."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from attnprobe import masks
from attnprobe.capture.recognise import Recogniser, recognise
from attnprobe.capture.recognise.reductions import reduce
from attnprobe.core.capture import CapturedMask
from tests.capture.rebuilt import rebuilt

M = 12
ROW, KEY = torch.arange(M)[:, None], torch.arange(M)[None, :]
CAUSAL = KEY <= ROW


def look(mask: Tensor, Mq: int = M, Mkv: int = M) -> CapturedMask:
    return Recogniser()(mask, Mq, Mkv).read()


def pairs(text: str, Mq: int = M, Mkv: int = M) -> Tensor:
    i, j = torch.arange(Mq)[:, None], torch.arange(Mkv)[None, :]
    return masks.parse(text).allows(i, j, Mq, Mkv).expand(Mq, Mkv).clone()


def added(allowed: Tensor, value: float = -torch.inf, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, value)


FAMILIES = (
    "none",
    "causal(align=top-left)",
    "sliding-window(left=3, right=0, align=top-left)",
    "sliding-window(left=2, right=4, align=top-left)",
    "prefix-lm(prefix=4, align=top-left)",
    "block-diagonal(size=4, align=top-left)",
    "causal(align=top-left) & block-diagonal(size=4, align=top-left)",
    "dilated(step=3, align=top-left)",
    "sinks(count=2, left=3, align=top-left)",
)


@pytest.mark.parametrize("text", FAMILIES)
def test_a_family_is_spelled_as_it_is(text: str):
    """The name is the one that the mask was made of."""
    said = look(pairs(text))
    assert said.mask is not None
    assert said.mask.text == text


@pytest.mark.parametrize("text", FAMILIES)
def test_one_element_flipped_is_never_the_same_mask(text: str):
    """Wherever one element is flipped, the answer is `arbitrary` or reproduces the flipped mask."""
    for i in range(M):
        for j in range(M):
            flipped = pairs(text)
            flipped[i, j] ^= True
            said = look(flipped)
            if said.kind == "arbitrary":
                continue
            again = rebuilt(said, 1, M, M, whole=said.holes)[0]
            if said.holes:
                again &= flipped.any(0)
            assert torch.equal(again, flipped), (i, j, said)


@pytest.mark.parametrize(("left", "right"), [(3, 0), (4, 0), (2, 0), (3, 1), (None, -1)])
def test_windows_one_off_are_told_apart(left: int | None, right: int):
    """A window of one key more or less is named as what it is."""
    said = look(pairs(f"sliding-window(left={str(left).lower()}, right={right}, align=top-left)"))
    assert said.mask is not None
    assert (said.mask.left, said.mask.right) == (left, right)


@pytest.mark.parametrize("corner", ["top-left", "bottom-right"])
def test_corners_are_told_apart(corner: str):
    """Causal over more keys than queries says where its diagonal starts."""
    said = look(pairs(f"causal(align={corner})", 5, 9), 5, 9)
    assert said.mask is not None
    assert said.mask.text == f"causal(align={corner})"


def test_an_inverted_causal_mask_is_named_and_noted():
    """True for what is meant to be masked: the pairs behind the diagonal, and a note."""
    said = look(~CAUSAL)
    assert said.mask is not None
    assert (said.mask.left, said.mask.right) == (-1, None)
    assert said.empty_rows == 1
    assert "opposite of a causal mask" in said.note


def test_numbers_in_place_of_booleans_forbid_nothing():
    """0 and 1, added: nothing is masked, and that is said."""
    said = look(CAUSAL.float())
    assert said.kind == "all-true"
    assert "forbids nothing" in said.note


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
@pytest.mark.parametrize("value", [-torch.inf, -1e4, None])
def test_every_forbidding_value_forbids(value: float | None, dtype: torch.dtype):
    """-inf, -10000 and the least number of the dtype; what was used is kept."""
    chosen = torch.finfo(dtype).min if value is None else value
    mask = added(CAUSAL, chosen, dtype)
    said = look(mask)
    assert said.kind == "causal"
    assert said.values == ""
    assert said.forbidding == (mask.min().item(),) * 2


def test_forbidding_twice_forbids():
    """A padding mask and a causal mask, both -10000, added: -20000 where both forbid."""
    padding = (KEY < 7).expand(M, M)
    said = look(added(CAUSAL, -1e4) + added(padding, -1e4))
    assert (said.kind, said.lengths) == ("causal", (7,))
    assert said.forbidding == (-2e4, -1e4)


def test_a_value_far_below_all_others_forbids():
    """Swin's -100, on top of a learned bias too; and -40, which is a bias."""
    shifted = torch.block_diag(torch.ones(4, 4), torch.ones(8, 8)).bool()
    learned = look(added(shifted, -100.0) + torch.randn(1, 3, M, M))
    assert (learned.kind, learned.values) == ("block-diagonal", "dense")
    said = look(added(shifted, -100.0))
    assert (said.kind, said.forbidding, said.values) == ("block-diagonal", (-100.0, -100.0), "")
    assert look(added(shifted, -40.0)).kind == "all-true"


def test_far_alibi_is_no_mask():
    """Slopes over ten thousand keys reach below -10000 without a gap: they forbid nothing."""
    distance = torch.arange(20000) - 19999
    said = look(0.9 * distance[None].float(), 1, 20000)
    assert (said.kind, said.values, len(said.slopes)) == ("all-true", "alibi", 1)


SLOPES = torch.tensor([0.5, 0.25, 0.125])[:, None, None]
BIASES = {
    "by distance": (-SLOPES * (ROW - KEY).abs(), "1,H,M,N"),
    "by key": ((SLOPES * KEY).expand(3, M, M), "1,H,1,N"),
    "rounded": ((-SLOPES * 1.1 * (ROW - KEY).abs()).bfloat16(), "1,H,M,N"),
}


@pytest.mark.parametrize("name", BIASES)
@pytest.mark.parametrize("forbid", [False, True])
def test_alibi_is_recognised_with_its_slopes(name: str, forbid: bool):
    """By distance or by the key's number, under a causal mask or not."""
    bias, dims = BIASES[name]
    mask = torch.where(CAUSAL, bias, torch.finfo(bias.dtype).min) if forbid else bias
    said = look(mask)
    factor = 1.1 if name == "rounded" else 1.0
    assert said.kind == ("causal" if forbid else "all-true")
    assert said.values == "alibi"
    assert said.values_dims == dims
    assert said.slopes == pytest.approx(tuple(SLOPES.flatten().mul(factor).tolist()), rel=1e-2)


@pytest.mark.parametrize("name", BIASES)
def test_one_value_off_is_not_alibi(name: str):
    """One element that is off by a hundredth is enough."""
    bias = BIASES[name][0].clone()
    bias[1, 7, 2] *= 1.02
    assert look(bias).values == "dense"


def test_relative_positions_are_recognised():
    """T5's table: any function of the distance per head, also on top of a padded causal mask."""
    table = torch.randn(2, 2 * M - 1)[:, KEY - ROW + M - 1]
    padded = (torch.tensor([M, 5])[:, None] > KEY)[:, None, None] & CAUSAL
    assert look(table).values == "relative"
    said = look(table + added(padded, torch.finfo().min))
    assert (said.kind, said.values, said.values_dims) == ("causal", "relative", "1,H,M,N")
    assert said.lengths == (M, 5)
    assert said.broadcast == "B,H,M,N"


def test_a_dense_bias_says_along_which_dims_it_differs():
    """A bias per head and key that was written out over queries is one per head and key."""
    bias = torch.randn(1, 3, 1, M).expand(2, 3, M, M).clone()
    said = look(bias)
    assert (said.values, said.values_dims, said.broadcast) == ("dense", "1,H,1,N", "B,H,M,N")


def test_nan_is_said():
    """A NaN in a mask is reported, not taken for a value."""
    bias = torch.zeros(M, M)
    bias[2, 3] = torch.nan
    assert look(bias).has_nan


def test_expanded_dims_are_not_read():
    """A padding mask expanded to all heads and queries is what it was before."""
    padding = (torch.tensor([3, 12])[:, None] > KEY)[:, None, None]
    said = look(padding.expand(2, 4, M, M))
    assert said.broadcast == "B,1,1,N"
    assert (said.kind, said.lengths) == ("key-padding", (3, 12))


def test_an_unchanged_mask_is_looked_at_once():
    """The same tensor, and another slice of it at the same place, give the answer that is there."""
    looking, mask = Recogniser(), torch.ones(1, 1, 20, 20, dtype=torch.bool).tril()
    first = looking(mask[:, :, :M, :M], M, M)
    assert looking(mask[:, :, :M, :M], M, M) is first
    assert looking(mask[:, :, 1 : M + 1, :M], M, M) is not first


def test_a_mask_that_was_written_to_is_looked_at_again():
    """A static mask that changes in place is seen to change."""
    looking, mask = Recogniser(), CAUSAL.clone()
    first = looking(mask, M, M)
    mask.fill_(True)
    assert looking(mask, M, M).read().kind == "all-true"
    assert first.read().kind == "causal"


def test_memory_that_was_given_back_is_no_known_mask():
    """A new mask where an old one lay is a new mask."""
    looking = Recogniser()
    for _ in range(20):  # the allocator hands the same address out again
        assert looking(CAUSAL.clone(), M, M).read().kind == "causal"
        assert looking(torch.ones(M, M, dtype=torch.bool), M, M).read().kind == "all-true"


def test_no_mask_is_kept():
    """What was looked at is freed when the script lets go of it."""
    mask = CAUSAL.clone()
    kept, recognition = weakref.ref(mask), Recogniser()(mask, M, M)
    mask.fill_(False)  # and the answer does not depend on what it became
    del mask
    gc.collect()
    assert kept() is None
    assert recognition.read().kind == "causal"


WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "item", "copy_")


class _Names(TorchDispatchMode):
    """Operators that ran."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        to_host = "device" in (kwargs or {}) and func.__name__.startswith("_to_copy")
        self.seen.append("copy_" if to_host else func.__name__.split(".")[0])
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("form", [torch.bool, torch.float32])
def test_nothing_waits_for_the_device(form: torch.dtype):
    """No operator that needs a value on the host is queued, and no random number is drawn."""
    mask = CAUSAL[None, None] if form == torch.bool else added(CAUSAL)[None, None]
    state = torch.get_rng_state()
    with _Names() as names:
        reduce(mask)
    assert names.seen
    assert not set(names.seen) & set(WAITING)
    assert torch.equal(state, torch.get_rng_state())


def test_what_cannot_be_looked_at_is_said():
    """A meta tensor and an integer mask have a reason instead of a kind."""
    for mask in (torch.ones(M, M, device="meta"), torch.ones(M, M, dtype=torch.int64)):
        said = recognise(mask, M, M).read()
        assert said.kind == "unknown"
        assert said.note


def test_a_shape_that_does_not_broadcast_is_refused():
    """A mask for another number of keys is an error of the caller's."""
    with pytest.raises(ValueError, match="does not broadcast"):
        recognise(CAUSAL, M, M + 1)


def test_heads_that_differ_are_mixed():
    """Heads with padding of their own have no lengths per sequence."""
    said = look((torch.tensor([5, 9])[:, None, None] > KEY).expand(2, M, M))
    assert (said.kind, said.lengths) == ("mixed", ())
    assert "heads differ" in said.note


def test_holes_are_those_of_every_row():
    """As many keys in each row as padding with holes leaves, but others in one of them."""
    holed = CAUSAL & (KEY % 3 != 1)
    assert look(holed).holes
    holed[5, 3], holed[5, 6] = False, True
    assert look(holed).kind == "arbitrary"


def test_a_script_s_default_device_is_its_own():
    """Where new tensors of the script lie elsewhere, the answer is the same."""
    causal = CAUSAL.clone()
    documents = torch.block_diag(torch.ones(3, 3), torch.ones(9, 9)).bool()
    torch.set_default_device("meta")
    try:
        said = [look(mask) for mask in (causal, documents, causal.float() - 1)]
    finally:
        torch.set_default_device(None)
    assert [one.kind for one in said] == ["causal", "block-diagonal", "all-true"]
