"""A callable with the signature of SDPA, taken from its file or module."""

from __future__ import annotations

import ast
from importlib.resources import files

from attnprobe.core.case import Case
from attnprobe.errors import UsageError
from attnprobe.repro.calls.base import Call, call, quoted, returned
from attnprobe.repro.calls.sdpa import arguments

KNOWN = "attnprobe.device.known_calls"
"""The calls of published bugs: a script has no attnprobe, and gets their source."""


def write(case: Case, backend: str) -> Call:
    """Loads `FILE.py:FUNC` by path, `package.module:FUNC` by name; a class is instantiated."""
    place, _, name = backend.rpartition(":")
    made, said = arguments(case)
    body = returned(made, f"return {call('kernel', 'q', 'k', 'v', *said)}")
    both = call("kernel", "q", "k", "v", *said, "return_lse=True")
    lse = returned(made, f"out, lse = {both}[:2]", "return out, lse")
    if place == KNOWN:
        return _known(name, body)
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
    return Call(imports, body, setup, lse=lse)


def _known(name: str, body: str) -> Call:
    """The function itself, without its annotations, and what it imports.

    Raises:
        UsageError: This version of attnprobe has no such call.
    """
    module = ast.parse(files("attnprobe.device").joinpath("known_calls.py").read_text())
    functions = {f.name: f for f in module.body if isinstance(f, ast.FunctionDef)}
    if name not in functions:
        raise UsageError(f"no call of a published bug is named {ascii(name)[:40]}")
    source = ast.unparse(_Plain().visit(functions[name]))
    used = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
    imports = tuple(
        ast.unparse(found)
        for found in module.body
        if isinstance(found, ast.ImportFrom) and used & {alias.name for alias in found.names}
    )
    package = "xformers" if "xformers" in source else "torch"
    return Call(imports, body, f"{source}\n\n\nkernel = {name}", package)


class _Plain(ast.NodeTransformer):
    """Annotations and assertions are for type checkers."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        assert node.value is not None
        return ast.copy_location(ast.Assign([node.target], node.value), node)

    def visit_Assert(self, node: ast.Assert) -> None:
        return None

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.copy_location(ast.arg(node.arg), node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)
