"""What a script asks for each thing that can become of a trial: statements that end the process."""

from __future__ import annotations

import re
from collections.abc import Callable

from attnprobe.core.case import Case
from attnprobe.core.outcome import Measured, Outcome
from attnprobe.core.parity import QUANTITIES, Parity, Quantity
from attnprobe.core.trial import ONE_CALL, Record
from attnprobe.repro import experiments, pairs, published
from attnprobe.repro.calls.base import quoted

EPSILON = {"float64": 2**-52, "float32": 2**-23, "float16": 2**-10, "bfloat16": 2**-7}
"""torch.finfo(dtype).eps."""

_TRUTH = """\
{litter}exact = {name: t.double() for name, t in given.items()}
{runs}
{lse}error = {name: t.double() - truth[name] for name, t in got.items() if t is not None}
{empty}for name, e in error.items():
    relative = e.norm() / truth[name].norm()
    print(f"{name:6} largest error {e.abs().max():.3e}, relative error {relative:.3e}")"""

_RUNS = """\
truth = run(reference, dout.double(), **exact)
{littered}{seed}got = run(attention, **given){filled}"""

_FORWARD = """\
truth = {"out": reference(**exact)}
{seed}got = {"out": attention(**given)}"""

_LSE = """\
truth["lse"], got["lse"] = log_sum_exp(**exact), attention_with_lse(**given)[1]
keyless = truth["lse"].isneginf()
truth["lse"], got["lse"] = (t["lse"].masked_fill(keyless, 0.0)[..., None] for t in (truth, got))
"""

_EMPTY = """\
empty = ~allowed.any(-1, keepdim=True)  # rows without keys, for which libraries differ
for name in error.keys() & {"out", "dq"}:
    error[name] = error[name].masked_fill(empty, 0.0)
"""

_VERDICT = """\
wrong = 0
for what, seen, limit in checks:
    good = bool(seen <= limit)
    wrong += not good
    print(f"{'right' if good else 'WRONG'}  {what}: {float(seen):.3e}, at most {limit:.3e}")
sys.exit(1 if wrong else 0)"""

_RETURNS = """\
got = run(attention, **given)
largest = {name: float(t.abs().max()) for name, t in got.items() if t is not None}
print("it ran; largest numbers:", largest)
sys.exit(0)"""

_SPOT = re.compile(r"\.\.\.|\d+(, (\d+|:|\d+:\d+))*")


def ask(record: Record) -> str:
    """The statements for this record."""
    if record.trial.question not in ONE_CALL:
        said = experiments.met(record)
        if said is None:
            return experiments.ask(record.trial)
        return _numbers(record.trial.case, said, _kinds(record))
    if not isinstance(record.outcome, Measured) or record.outcome.parity is None:
        return f"# {_fate(record.outcome)}\n{_RETURNS}"
    if published.must_be_refused(record):
        return _ANSWERED
    return _numbers(record.trial.case, record.outcome.parity, _kinds(record))


def _kinds(record: Record) -> set[str]:
    """What is wrong; NaN in rows without keys only where a published bug is about that."""
    parity = record.outcome.parity if isinstance(record.outcome, Measured) else None
    if parity is None:
        return set()
    nan = parity.empty_rows == "nan" and published.shows(record)
    return {failure.kind for failure in parity.failures} | ({"nan_rows"} if nan else set())


def _fate(outcome: Outcome) -> str:
    match outcome.kind:
        case "refused" | "raised":
            return "The exception comes here, if not before."
        case "timed_out":
            return "The process hangs here."
        case "out_of_memory":
            return "The allocator's error comes here."
        case _:
            return "The process dies here."


def _numbers(case: Case, parity: Parity, kinds: set[str]) -> str:
    if kinds & {"shape", "dtype", "type", "device"}:
        return _FORM
    if "inplace" in kinds:
        mask = ', "the mask": allowed' if pairs.needs_allowed(case) else ""
        return _INPLACE.replace("{allowed}", mask)
    if "global_state" in kinds:
        return _SETTINGS
    if case.lengths is not None and case.lengths.tail and kinds & {"nonfinite", "accuracy"}:
        kinds = kinds | {"leak"}  # what nobody wrote is NaN, zero or a number from time to time
    checks = [
        check
        for name in QUANTITIES
        if (quantity := parity.quantities.get(name)) and quantity.verdict == "fail"
        for check in _failed(name, quantity, case.dtype)
    ]
    checks += [line for kind in sorted(kinds) if kind in _KINDS for line in _KINDS[kind](case)]
    if "nonfinite" in kinds and not checks:  # with dropout there is no number to be held against
        checks = [_nonfinite(name) for name in ("out", *(f"d{n}" for n in _wanted(case)))]
    if not checks:
        checks = [
            _check(
                f"relative error of {name}",
                f'error["{name}"].norm() / (truth["{name}"].norm() + 1e-30)',
                quantity.relative_error / quantity.ratio if quantity.ratio else 0.0,
            )
            for name, quantity in parity.quantities.items()
            if name in QUANTITIES and name != "lse"
        ]
    listed = "\n".join(f"    {check}," for check in checks)
    truth = _TRUTH.replace("{runs}", _RUNS if case.wants_backward else _FORWARD)
    seed = f"torch.manual_seed({case.seed})\n" if case.dropout_p else ""
    truth = truth.replace("{seed}", seed)
    lse = parity.quantities.get("lse")
    unwritten = case.wants_backward and "leak" in kinds
    for name, text in _unwritten(unwritten).items():
        truth = truth.replace(f"{{{name}}}", text)
    truth = truth.replace("{lse}", _LSE if lse and lse.verdict == "fail" else "")
    truth = truth.replace("{empty}", _EMPTY if pairs.may_be_empty(case) else "")
    return f"{truth}\n\nchecks = [\n{listed}\n]\n{_VERDICT}"


def _check(what: str, seen: str, limit: float) -> str:
    return f"({quoted(what)}, {seen}, {limit:.4g})"


def _failed(name: str, quantity: Quantity, dtype: str) -> list[str]:
    if quantity.nonfinite:
        return [_nonfinite(name)]
    spot = quantity.spot
    if spot is None or not _SPOT.fullmatch(spot.at):
        explained = quantity.relative_error / max(quantity.ratio, 1.0)
        limit = max(explained, 4.0 * EPSILON[dtype])  # a largest error is more than a norm
        seen = f'error["{name}"].norm() / truth["{name}"].norm()'
        return [_check(f"relative error of {name}", seen, limit)]
    there = f'error["{name}"][{spot.at}]'
    match quantity.level:
        case "element":
            return [_check(f"error of {name}[{spot.at}]", f"{there}.abs()", spot.limit)]
        case "group":
            return [
                _check(f"norm of the error of {name}[{spot.at}]", f"{there}.norm()", spot.limit)
            ]
        case _:
            exact = f'truth["{name}"][{spot.at}]'
            seen = f"(({there} * {exact}).sum() / {exact}.square().sum()).abs()"
            return [_check(f"gain of {name}[{spot.at}]", seen, spot.limit)]


def _unwritten(wanted: bool) -> dict[str, str]:
    """What shows memory that nobody wrote to: litter right before the call, and a call among NaN."""
    if not wanted:
        return dict.fromkeys(("litter", "littered", "filled"), "")
    return {
        "litter": "\n\n" + experiments.render("-litter") + "\n\n\n",
        "littered": "litter()\n",
        "filled": "\n" + experiments.render("-filled"),
    }


def _wanted(case: Case) -> tuple[str, ...]:
    return case.grads if case.wants_backward else ()


def _nonfinite(name: str) -> str:
    """Where the truth is finite; rows without keys are zero there, and are another matter."""
    return _check(f"NaN and inf in {name}", f'(~error["{name}"].isfinite()).sum()', 0)


def _empty_rows(case: Case) -> list[str]:
    belongs = " & (belongs[..., 0] == 1).to(device)" if case.lengths is not None else ""
    rows = f'(~allowed.any(-1){belongs}).expand(got["out"].shape[:3])'
    seen = f'got["out"][{rows}].abs().max()'
    found = [_check("output of rows without keys", seen, 0)]
    if "q" in case.grads and case.wants_backward:
        gradient = seen.replace('"out"', '"dq"')
        found.append(_check("dq of rows without keys", gradient, 0))
    return found


def _leak(case: Case) -> list[str]:
    """Gradients of keys that nobody attends, after litter and where unwritten memory is NaN."""
    return [
        _check(
            f"elements of {name} of keys that nobody attends that are not 0{where}",
            f'({result}["{name}"][(~allowed.any(-2)).expand({result}["{name}"].shape[:3])] != 0).sum()',
            0,
        )
        for name in ("dk", "dv")
        if case.wants_backward and name[1] in case.grads
        for result, where in (("got", ""), ("filled", " (unwritten memory is NaN)"))
    ]


def _nan_rows(case: Case) -> list[str]:
    return [_check("NaN in rows without keys", 'got["out"].isnan().sum()', 0)]


def _missing(case: Case) -> list[str]:
    return [_check("gradients that are missing", "sum(t is None for t in got.values())", 0)]


_KINDS: dict[str, Callable[[Case], list[str]]] = {
    "empty_rows": _empty_rows,
    "leak": _leak,
    "nan_rows": _nan_rows,
    "gradient_missing": _missing,
}

_FORM = """\
def form(t):
    \"""What is known of a result before its numbers are looked at.\"""
    return [type(t).__name__, *(getattr(t, name, None) for name in ("shape", "dtype", "layout"))]


out = attention(**given)
print("returned", *form(out), getattr(out, "device", ""))
print("expected", *form(dout), dout.device)
if form(out) != form(dout) or out.device.type != dout.device.type:
    sys.exit(1)
got = run(attention, **given)
for name, t in given.items():
    gradient = got.get(f"d{name}")
    if gradient is not None and form(gradient) != form(t):
        print(f"the gradient of {name} is", *form(gradient))
        sys.exit(1)
sys.exit(0)"""

_SETTINGS = """\
def settings():
    \"""What belongs to the whole process.\"""
    return {
        "the default dtype": torch.get_default_dtype(),
        "the default device": torch.get_default_device(),
        "grad mode": torch.is_grad_enabled(),
        "deterministic algorithms": torch.get_deterministic_debug_mode(),
        "the precision of float32 products": torch.get_float32_matmul_precision(),
        "the number of threads": torch.get_num_threads(),
        "the seed": torch.initial_seed(),
        "autocast": [torch.is_autocast_enabled(kind) for kind in ("cpu", "cuda")],
        "anomaly detection": torch.is_anomaly_enabled(),
        "the working directory": os.getcwd(),
        "modes that see every operation": torch._C._len_torch_dispatch_stack(),
        "modes that see every function": torch._C._len_torch_function_stack(),
        **{
            f"{space.__name__}.{name}": id(x)
            for space in (torch, torch.Tensor, torch.nn.functional)
            for holder in reversed(getattr(space, "__mro__", (space,)))
            for name, x in vars(holder).items()
        },
    }


before = settings()
run(attention, **given)
now = settings()
changed = [f"{name} ({was} -> {now.get(name)})" for name, was in before.items() if was != now.get(name)]
print("settings that the call changed:", ", ".join(changed) or "none")
sys.exit(1 if changed else 0)"""

_ANSWERED = """\
print("answered, where a refusal is right:", tuple(attention(**given).shape))
sys.exit(1)"""

_INPLACE = """\
watched = {**given, "dout": dout{allowed}}
before = {name: t.clone() for name, t in watched.items()}
run(attention, **given)
changed = [name for name, t in watched.items() if not torch.equal(t, before[name])]
print("changed by the call:", ", ".join(changed) or "nothing")
sys.exit(1 if changed else 0)"""
