"""A callable with the signature of SDPA, taken from its file or module."""

from __future__ import annotations

from attnprobe.core.case import Case
from attnprobe.repro.calls.base import Call, call, quoted, returned
from attnprobe.repro.calls.sdpa import arguments


def write(case: Case, backend: str) -> Call:
    """Loads `FILE.py:FUNC` by path, `package.module:FUNC` by name; a class is instantiated."""
    place, _, name = backend.rpartition(":")
    made, said = arguments(case)
    body = returned(made, f"return {call('kernel', 'q', 'k', 'v', *said)}")
    if not place.endswith(".py"):
        imports: tuple[str, ...] = ("import importlib",)
        setup = f"kernel = getattr(importlib.import_module({quoted(place)}), {quoted(name)})"
    else:
        imports = ("import importlib.util", "import os")
        setup = (
            f"KERNEL = os.path.expanduser({quoted(place)})  # the file with the callable\n"
            "sys.path[:0] = [os.path.dirname(os.path.abspath(KERNEL)), os.getcwd()]\n"
            'spec = importlib.util.spec_from_file_location("kernel", KERNEL)\n'
            "module = importlib.util.module_from_spec(spec)\n"
            'sys.modules["kernel"] = module\n'
            "spec.loader.exec_module(module)\n"
            f"kernel = getattr(module, {quoted(name)})"
        )
    setup += "\nkernel = kernel() if isinstance(kernel, type) else kernel"
    return Call(imports, body, setup)
