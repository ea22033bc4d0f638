"""The laboratory's experiments as statements: the same manipulation, told by numbers that need no bound.

Where an experiment holds each run to its contract, a script holds it to four times the error of a
plain run of the same call: another order of additions moves an error, it does not multiply it.
"""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.errors import UsageError

_PLAIN = """\
truth = run(reference, dout.double(), **{name: t.double() for name, t in given.items()})
plain = run(attention, **given)


def off(result, name, truth=truth):
    \"""The largest error; NaN counts as infinite.\"""
    return (result[name].double() - truth[name]).abs().nan_to_num(torch.inf).max()


usual = {name: 4 * off(plain, name) + 1e-30 for name in plain}
checks = []"""

_VERDICT = """\
wrong = 0
for what, seen, limit in checks:
    if not seen <= limit:
        wrong += 1
        print(f"WRONG  {what}: {float(seen):.3e}, at most {float(limit):.3e}")
print(f"{wrong} of {len(checks)} comparisons are wrong")
sys.exit(1 if wrong else 0)"""

_DIFFERING = """\
def differing(a, b, rows=...):
    \"""How many elements differ in their bits; NaN equals NaN.\"""
    a, b = a[rows], b[rows]
    return (~((a == b) | (a.isnan() & b.isnan()))).sum()"""

_LEAK = """\
{differing}


everyone = torch.ones(1, 1, q.shape[2], k.shape[2], dtype=torch.bool, device=device)
attended = {allowed}
plain, checks = run(attention, **given), []
for cut in sorted({{k.shape[2] // 3, k.shape[2] // 2, max(k.shape[2] - 17, 1), k.shape[2] - 1}}):
    k2, v2 = k.clone(), v.clone()
    k2[:, :, cut:] = torch.where(k[:, :, cut:] < 0, -30.0, 30.0).to(dtype)
    v2[:, :, cut:] = torch.where(v[:, :, cut:] < 0, -1000.0, 1000.0).to(dtype)
    swapped = run(attention, **{{**given, "k": k2, "v": v2}})
    untouched = (~attended[..., cut:].any(-1){belongs}).expand(*q.shape[:3])
    for name in [n for n in ("out", "dq") if n in plain]:
        what = f"elements of {{name}} that change with keys from {{cut}} on, which they do not attend"
        checks.append((what, differing(plain[name], swapped[name], untouched), 0))
{verdict}"""

_DECODE = """\
everyone = torch.ones(1, 1, q.shape[2], k.shape[2], dtype=torch.bool, device=device)
attended = {allowed}
flat = {{**given, "q": torch.zeros_like(q)}}
if "bias" in flat:
    flat["bias"] = torch.zeros_like(flat["bias"])
checks = []
for start in range(0, k.shape[2], Kv):
    # With q = 0 every attended key weighs 1/n: a one-hot v shows in `out` who attends it.
    n = min(Kv, k.shape[2] - start)
    one_hot = torch.zeros_like(v)
    one_hot[:, :, start + torch.arange(n), torch.arange(n)] = 1
    seen = run(attention, wanted=(), **{{**flat, "v": one_hot}})["out"][..., :n] != 0
    wrong = (seen != attended[..., start : start + n]).sum()
    checks.append((f"forward: pairs that differ from the mask, keys from {{start}}", wrong, 0))
{backward}{verdict}"""

_DECODE_BACKWARD = """\
for start in range(0, q.shape[2], Kv):
    # A one-hot dout shows in dv whom these queries attend in the backward.
    n = min(Kv, q.shape[2] - start)
    for head in range(Hq // Hkv):
        one_hot = torch.zeros_like(dout)
        one_hot[:, head :: Hq // Hkv, start + torch.arange(n), torch.arange(n)] = 1
        seen = (run(attention, one_hot, **flat)["dv"][..., :n] != 0).mT
        wrong = (seen != attended[:, :, start : start + n]).sum()
        checks.append((f"backward: pairs that differ from the mask, queries from {start}", wrong, 0))
"""

_POWER = """\
{differing}


plain = run(attention, **given)
four = run(attention, **{{**given, "v": 4 * v}})
checks = [("elements of out(4 v) that are not 4 out", differing(4 * plain["out"], four["out"]), 0)]
scaled = run(attention, 4 * dout, **given)
for name in [n for n in plain if n != "out"]:
    what = f"elements of {{name}}(4 dout) that are not 4 {{name}}"
    checks.append((what, differing(4 * plain[name], scaled[name]), 0))
{verdict}"""

_DETERMINISM = """\
runs = [run(attention, **given) for _ in range(12)]
truth = run(reference, dout.double(), **{name: t.double() for name, t in given.items()})
checks = []
for name in runs[0]:
    errors = [(r[name].double() - truth[name]).abs().nan_to_num(torch.inf).max() for r in runs]
    checks.append((f"largest error of {name} in 12 repeats", max(errors), 4 * min(errors) + 1e-30))
torch.use_deterministic_algorithms(True)
first, second = run(attention, **given), run(attention, **given)
for name in first:
    moved = (~((first[name] == second[name]) | first[name].isnan())).sum()
    checks.append((f"elements of {name} that differ in deterministic mode", moved, 0))
"""

_UNWRITTEN = """\
# Memory that torch hands out without writing to it holds NaN: a result that is NaN was not written.
plain = run(attention, **given)
torch.use_deterministic_algorithms(True)
torch.utils.deterministic.fill_uninitialized_memory = True
filled = run(attention, **given)
checks = [
    (f"elements of {name} that nobody wrote", (filled[name].isnan() & ~plain[name].isnan()).sum(), 0)
    for name in plain
]
torch.use_deterministic_algorithms(False)
for name in plain:  # freed blocks of the results' sizes, full of a number that shows
    for size in (plain[name].numel() // 2, plain[name].numel(), 2 * plain[name].numel()):
        litter = [torch.full((size,), 12345.0, dtype=t, device=device) for t in (dtype, torch.float32)]
        del litter
littered = run(attention, **given)
for name in plain:
    what = f"elements of {name} that change with what freed memory holds"
    checks.append((what, (littered[name] != plain[name]).sum(), 0))
"""

_SUBSETS = """\
from itertools import combinations

whole = tuple(name[1:] for name in plain if name != "out")
for size in range(1, len(whole)):
    for alone in combinations(whole, size):
        result = run(attention, wanted=alone, **given)
        for name in alone:
            what = f"error of d{name} when only {', '.join(alone)} want gradients"
            checks.append((what, off(result, f"d{name}"), usual[f"d{name}"]))
"""

_STRIDED = """\
wide = dout.new_zeros(*dout.shape[:-1], 2 * dout.shape[-1])
wide[..., ::2] = dout
forms = {
    "transposed in memory": dout.transpose(1, 2).contiguous().transpose(1, 2),
    "with heads outermost": dout.transpose(0, 1).contiguous().transpose(0, 1),
    "with a last stride of 2": wide[..., ::2],
    "with columns outermost": dout.transpose(2, 3).contiguous().transpose(2, 3),
}
for words, other in forms.items():
    result = run(attention, other, **given)
    for name in result:
        checks.append((f"error of {name}, dout {words}", off(result, name), usual[name]))
ones = torch.ones((), dtype=dtype, device=device).expand(dout.shape)
exact = {name: t.double() for name, t in given.items()}
truth1 = run(reference, ones.double(), **exact)
whole, result = run(attention, ones.contiguous(), **given), run(attention, ones, **given)
for name in result:
    limit = 4 * off(whole, name, truth1) + 1e-30
    checks.append((f"error of {name}, dout one expanded number", off(result, name, truth1), limit))
"""

_TWICE = """\
leaves = {name: t.detach().requires_grad_(f"d{name}" in plain) for name, t in given.items()}
wanted = [leaves[name] for name in leaves if f"d{name}" in plain]
out, before = attention(**leaves), dout.clone()
torch.autograd.grad(out, wanted, dout, retain_graph=True)
second = dict(zip([n for n in plain if n != "out"], torch.autograd.grad(out, wanted, dout)))
for name in second:
    what = f"error of {name} after a second walk through the graph"
    checks.append((what, off(second, name), usual[name]))
checks.append(("elements of dout that the backward changed", (dout != before).sum(), 0))
"""

_AUTOCAST = """\
with torch.autocast(device.partition(":")[0], dtype=torch.bfloat16):
    result = run(attention, **given)
for name in result:
    error = (result[name].double() - truth[name]).norm() / truth[name].norm()
    checks.append((f"relative error of {name} inside autocast", error, 0.1))
"""

_COMPILED = """\
compiled = torch.compile(attention, backend="aot_eager")
for call in ("first", "second"):
    result = run(compiled, **given)
    for name in result:
        checks.append((f"error of {name} in the {call} compiled call", off(result, name), usual[name]))
"""

_STALE = """\
held = {name: t.clone() for name, t in given.items()}
run(attention, **held)
for name in ("q", "k", "v"):  # an optimiser writes other numbers into the same memory
    held[name].copy_(given[name].flip(2) * 0.5)
now = run(attention, **held)
fresh = run(reference, dout.double(), **{name: t.double() for name, t in held.items()})
for name in now:
    what = f"error of {name} after other numbers were written into q, k and v"
    checks.append((what, off(now, name, fresh), 4 * usual[name]))
# Two masks of one shape, one after the other, and the first again.
draw = torch.Generator().manual_seed(1)
pair = [torch.rand(1, 1, q.shape[2], k.shape[2], generator=draw).to(device) < 0.6 for _ in range(2)]
for mask in (*pair, pair[0]):
    mask[..., 0] = True
    out = kernel(q, k, v, attn_mask=mask, enable_gqa=Hq != Hkv)
    keys, values = (t.double().repeat_interleave(Hq // Hkv, 1) for t in (k, v))
    scores = (q.double() @ keys.mT * K**-0.5).masked_fill(~mask, -torch.inf)
    error = (out.double() - scores.softmax(-1) @ values).abs().max()
    checks.append(("error with another mask of the shape of an earlier one", error, usual["out"] * 4))
"""

_INPLACE = """\
before = {name: t.clone() for name, t in (*given.items(), ("dout", dout))}
result = run(attention, **given)
now = {**given, "dout": dout}
checks = [
    (f"elements of {name} that the call changed", (now[name] != before[name]).sum(), 0)
    for name in now
]
places = {t.untyped_storage().data_ptr() for t in given.values()}
inside = int(result["out"].untyped_storage().data_ptr() in places)
checks.append(("outputs that lie in the memory of an input", inside, 0))
"""


def names() -> tuple[str, ...]:
    """The experiments that can be written."""
    return ("leak", "mask-decode", "power-of-two", *_ON_ITS_OWN, *_BESIDE_PLAIN)


_ON_ITS_OWN = {"determinism": _DETERMINISM, "unwritten": _UNWRITTEN, "inplace": _INPLACE}
_BESIDE_PLAIN = {
    "gradient-subsets": _SUBSETS,
    "strided-gradient": _STRIDED,
    "backward-twice": _TWICE,
    "autocast": _AUTOCAST,
    "compiled-caller": _COMPILED,
    "stale": _STALE,
}


def ask(name: str, case: Case) -> str:
    """The statements of one experiment.

    Raises:
        UsageError: It cannot be written as a script.
    """
    allowed = "everyone" if case.mask.is_none and case.lengths is None else "everyone & allowed"
    if name in _ON_ITS_OWN:
        return _ON_ITS_OWN[name] + _VERDICT
    if name in _BESIDE_PLAIN:
        return f"{_PLAIN}\n{_BESIDE_PLAIN[name]}{_VERDICT}"
    match name:
        case "leak":
            belongs = " & (belongs[..., 0] == 1).to(device)" if case.lengths is not None else ""
            return _LEAK.format(
                differing=_DIFFERING, allowed=allowed, belongs=belongs, verdict=_VERDICT
            )
        case "mask-decode":
            backward = _DECODE_BACKWARD if case.wants_backward else ""
            return _DECODE.format(allowed=allowed, backward=backward, verdict=_VERDICT)
        case "power-of-two":
            return _POWER.format(differing=_DIFFERING, verdict=_VERDICT)
    raise UsageError(
        f"the experiment {name} cannot be written as a standalone script",
        fix="`attnprobe check --backend NAME` repeats it",
    )
