"""A mask as source: the function `attends` of the script."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from dataclasses import fields

from attnprobe.core.mask import Mask, Predicate


def source(mask: Mask) -> str:
    """`def attends(i, j, Mq, Mkv)`, and one function before it for each predicate."""
    parts = [_predicate(predicate) for predicate in mask.predicates]
    shift = "" if mask.align == "top-left" else " + Mkv - Mq"
    conditions = []
    if mask.left is not None:
        conditions.append(f"(j >= i{shift}{_signed(-mask.left)})")
    if mask.right is not None:
        conditions.append(f"(j <= i{shift}{_signed(mask.right)})")
    moved = "0" if mask.align == "top-left" else "Mkv - Mq"
    conditions += [f"{_name(predicate)}(i, j, {moved})" for predicate in mask.predicates]
    if not conditions:
        conditions = ["(i >= 0) & (j >= 0)"]
    body = " & ".join(conditions)
    if len(conditions) == 1 and body.startswith("(j"):
        body = body[1:-1]
    parts.append(
        "def attends(i, j, Mq, Mkv):\n"
        f'    """Whether query i may attend key j: {mask.text}."""\n'
        f"    return {body}"
    )
    return "\n\n\n".join(parts)


def _signed(number: int) -> str:
    return f" {'-' if number < 0 else '+'} {abs(number)}" if number else ""


def _name(predicate: Predicate) -> str:
    return predicate.name.replace("-", "_")


class _Standalone(ast.NodeTransformer):
    """`self.size` becomes `size`, and a constant of the predicate's module its value."""

    def __init__(self, constants: dict[str, object]) -> None:
        self.constants = constants

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return ast.copy_location(ast.Name(node.attr, ast.Load()), node)
        return self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if isinstance(node.ctx, ast.Load) and isinstance(self.constants.get(node.id), int):
            return ast.copy_location(ast.Constant(self.constants[node.id]), node)  # type: ignore[arg-type] # an int
        return node


def _predicate(predicate: Predicate) -> str:
    """The predicate's own `allows`, its parameters as default arguments."""
    kind = type(predicate)
    (function,) = ast.parse(textwrap.dedent(inspect.getsource(kind.allows))).body
    assert isinstance(function, ast.FunctionDef)
    function = _Standalone(vars(sys.modules[kind.__module__])).visit(function)
    body = [s for s in function.body if not _is_docstring(s)]
    given = "".join(f", {f.name}={getattr(predicate, f.name)!r}" for f in fields(predicate))
    text = textwrap.indent("\n".join(ast.unparse(statement) for statement in body), "    ")
    return f"def {_name(predicate)}(i, j, shift{given}):\n{text}"


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
