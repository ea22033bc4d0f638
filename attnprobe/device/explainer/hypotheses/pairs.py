"""Single pairs that attend and should not, or do not and should.

One key j too many in a row changes its output by e / (1 + e) * (v_j - out) with e = exp(S_ij - lse), one
too few by -p / (1 - p) * (v_j - out) with its probability p: vectors that no other key gives. Every
wrong row is searched for the one key that explains it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from attnprobe.core.mask import NONE
from attnprobe.device.explainer.edits import add
from attnprobe.device.explainer.seen import Seen, Variant
from attnprobe.device.inputs import Inputs
from attnprobe.device.lowering import dense
from attnprobe.device.numerics import judge
from attnprobe.device.reference.regions import Region
from attnprobe.device.reference.scores import Scores

KIND = "indirect"

REMAINS = 0.2
"""Share of a row's error that may remain beside the key that is found: rounding, of small errors."""

LISTED = 4


def variants(seen: Seen) -> Iterator[Variant]:
    """The pairs of all wrong rows, where most of them clearly have such a key."""
    inputs, case = seen.inputs, seen.inputs.case
    if "out" not in seen.unexplained or case.storage != "padded" or case.Mkv < 2:
        return
    ratios = judge.ratios("out", seen.outputs, inputs, seen.reference, seen.parity.contract)
    if ratios is None or not bool(seen.outputs.out.isfinite().all()):
        return
    wrong = (ratios > 1.0).any(-1)
    open_ = replace(inputs, case=case.edit(mask=NONE, lengths=None))
    keep = dense.allowed(case, inputs.q.device).expand(case.B, case.Hq, -1, -1)
    found = _found(open_, keep, seen, wrong)
    if found is None:
        return
    hidden = torch.zeros(keep.shape, dtype=torch.float64, device=keep.device)
    turned = keep ^ found
    yield Variant(_says(found, keep), add(open_, hidden.masked_fill(~turned, -torch.inf)))


def _found(open_: Inputs, keep: Tensor, seen: Seen, wrong: Tensor) -> Tensor | None:
    """(B, Hq, Mq, Mkv) pairs to be turned; None where most rows have no such key."""
    case = open_.case
    region = Region(slice(0, case.B), slice(0, case.Mq), slice(0, case.Mkv), case.Mq, case.Mkv)
    scores = Scores(open_, region, torch.arange(case.Mq, device=keep.device))
    i, j = slice(0, case.Mq), slice(0, case.Mkv)
    out, v = seen.reference.out, scores.values(j)
    r = seen.outputs.out.double() - out
    e = torch.exp(scores.logits(i, j, scores.keys(j)).S - seen.reference.lse[..., None])
    c = torch.where(keep, -e / (1.0 - e).clamp_min(1e-9), e / (1.0 + e))
    # |r - c (v_j - out)|^2 for every key j, by products of matrices
    along = scores.against(r, v) - (r * out).sum(-1, keepdim=True)
    lengths = (v**2).sum(-1).repeat_interleave(case.groups, 1)[:, :, None]
    size = lengths - 2.0 * scores.against(out, v) + (out**2).sum(-1, keepdim=True)
    rest = (r**2).sum(-1, keepdim=True) - 2.0 * c * along + c**2 * size
    best = rest.nan_to_num(torch.inf).min(-1)
    fits = best.values <= REMAINS**2 * (r**2).sum(-1)
    if not bool(wrong.any()) or int(fits[wrong].sum()) < int(wrong.sum()) / 2:
        return None
    chosen = torch.zeros_like(keep).scatter(-1, best.indices[..., None], True)
    return chosen & wrong[..., None]


def _says(found: Tensor, keep: Tensor) -> str:
    """Pairs by query and key; heads and batch elements where not all have them."""
    sides = (("also attends", found & ~keep), ("does not attend", found & keep))
    said = []
    for verb, pairs in sides:
        everywhere = pairs.all(0).all(0)
        some = pairs.any(0).any(0)
        listed = [
            f"query {i} {verb} key {j}" + ("" if everywhere[i, j] else _place(pairs[..., i, j]))
            for i, j in some.nonzero()[:LISTED].tolist()
        ]
        more = int(some.sum()) - len(listed)
        said += [*listed, f"{more} more pairs like these"] if more > 0 else listed
    return "single pairs: " + ", ".join(said)


def _place(here: Tensor) -> str:
    b, h = (sorted(set(x.tolist())) for x in here.nonzero().T)
    batch = f"batch element {b[0]}, " if len(b) == 1 and here.shape[0] > 1 else ""
    return f" ({batch}head {', '.join(map(str, h))})"
