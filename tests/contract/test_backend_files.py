"""Every file of device/backends/ keeps the same promises, whatever is installed."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from attnprobe.core.case import Case
from attnprobe.device import backends
from attnprobe.device.backends.base import Backend, Prepared
from attnprobe.device.claims import claims
from attnprobe.device.inputs import make
from attnprobe.device.lowering.base import Refusal
from attnprobe.device.numerics import contracts
from attnprobe.errors import UsageError

FOLDER = Path(backends.__file__).parent
SMALL = Case(B=1, Hq=2, Hkv=2, Mq=16, Mkv=16, K=32, Kv=32, dtype="bfloat16")
PROMISED = {
    *("eager", "sdpa-math", "sdpa-flash", "sdpa-mem-efficient", "sdpa-cudnn", "sdpa-default"),
    *("sdpa-fa3", "sdpa-fa4", "flex-eager", "flex", "varlen", "njt", "mha", "mha-need-weights"),
    *("mha-fast-path", "xformers-default", "xformers-cutlass", "xformers-fa2", "xformers-fa3"),
    *("xformers-triton-splitk", "xformers-cutlass-blackwell", "xformers-ck", "flash-attn-2"),
    *("flash-attn-3", "flash-attn-4", "lucidrains"),
}
ON_CPU = {
    *("eager", "sdpa-math", "sdpa-flash", "sdpa-default", "flex-eager", "flex", "njt", "mha"),
    *("mha-need-weights", "mha-fast-path", "lucidrains"),
}


def _why_unavailable(backend: Backend) -> str:
    try:
        backend.available()
    except Exception as error:  # noqa: BLE001 - whatever a broken import raises is the answer
        return str(error) or type(error).__name__
    return ""


every = pytest.mark.parametrize("name", backends.names())


def test_all_promised_backends_have_a_file() -> None:
    """The registry is the folder, and the folder holds what is promised."""
    assert set(backends.names()) >= PROMISED


def test_the_registry_needs_no_torch() -> None:
    """The host lists and matches backends in an interpreter that must not import torch."""
    program = (
        "import sys; from attnprobe.device import backends;"
        "backends.match(['sdpa-*']); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=FOLDER.parents[2])


@every
def test_the_file_holds_one_backend_of_its_name(name: str) -> None:
    """`backends/<name>.py` holds BACKEND, named like the file."""
    backend = backends.load(name)
    assert isinstance(backend, Backend)
    assert backend.name == name
    assert backend.package
    re.compile(backend.kernels)


@every
def test_the_docstring_cites_its_source(name: str) -> None:
    """A claim about a library is worth nothing without where it was read."""
    text = (FOLDER / f"{name.replace('-', '_')}.py").read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""
    assert re.search(r"Sources?:", docstring), docstring


@every
def test_the_contract_is_a_known_one(name: str) -> None:
    """Whatever the device and dtype, the judge knows the name."""
    for device in ("cpu", "cuda"):
        for dtype in ("float32", "float16", "bfloat16"):
            case = SMALL.edit(device=device, dtype=dtype)
            assert backends.load(name).contract(case) in contracts.names()


@every
def test_a_claim_is_given_and_never_raised(name: str) -> None:
    """What cannot be asked is an answer too, with the reason and the package."""
    claim = claims([name])[name]
    assert claim.package == backends.load(name).package
    assert claim.error or claim.says


@pytest.mark.parametrize("name", sorted(PROMISED - ON_CPU))
def test_what_has_no_cpu_kernel_refuses_with_reasons(name: str) -> None:
    """On the CPU it is absent, broken or refused, and each says why."""
    backend = backends.load(name)
    if _why_unavailable(backend):
        return
    refused = backend.prepare(make(SMALL))
    assert isinstance(refused, Refusal)
    assert all(refused.reasons)
    assert refused.by == "library"


@every
def test_launch_holds_the_call_alone(name: str) -> None:
    """Preparing twice gives two independent launches with leaves of the case's own strides."""
    backend = backends.load(name)
    if reason := _why_unavailable(backend):
        pytest.skip(f"{name}: {reason}")
    inputs = make(SMALL)
    prepared = backend.prepare(inputs)
    if isinstance(prepared, Refusal):
        assert prepared.reasons
        return
    assert isinstance(prepared, Prepared)
    assert set(prepared.leaves) == {"q", "k", "v"}
    assert all(leaf.requires_grad and leaf.is_leaf for leaf in prepared.leaves.values())
    assert not inputs.q.requires_grad, "the case's own tensors must stay out of any graph"


def test_globs_choose_in_the_order_of_the_registry() -> None:
    """`sdpa-*` is all of SDPA; a callable keeps its spelling and comes last."""
    chosen = backends.match(["my.py:f", "sdpa-*", "eager"])
    assert chosen[0] == "eager"
    assert chosen[-1] == "my.py:f"
    assert set(chosen[1:-1]) == {name for name in backends.names() if name.startswith("sdpa-")}


def test_a_misspelled_backend_names_the_nearest() -> None:
    """A typo costs one look, not a search through the manual."""
    with pytest.raises(UsageError) as caught:
        backends.match(["sdpa-flsh"])
    assert "sdpa-flash" in caught.value.fix


def test_the_interface_is_documented() -> None:
    """What a new backend must provide can be read in one place."""
    for name in ("claim", "contract", "prepare"):
        assert inspect.getdoc(getattr(Backend, name))


def test_another_package_can_add_a_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point of the group is listed, matched and loaded like a file of ours."""
    point = EntryPoint("theirs", "attnprobe.device.backends.eager:BACKEND", backends.GROUP)
    monkeypatch.setattr(backends, "entry_points", lambda group: [point])
    for cached in (backends.names, backends._outsiders):
        cached.cache_clear()
    try:
        assert backends.names()[-1] == "theirs"
        assert backends.match(["thei*"]) == ("theirs",)
        assert isinstance(backends.load("theirs"), Backend)
    finally:
        for cached in (backends.names, backends._outsiders):
            cached.cache_clear()
