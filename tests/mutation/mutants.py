# SPDX-License-Identifier: Apache-2.0
"""Mutants of a module: each differs from it in one comparison, condition, number or statement."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

_SWAPPED: dict[type[ast.AST], Any] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.And: ast.Or, ast.Or: ast.And, ast.Add: ast.Sub, ast.Sub: ast.Add,
}  # fmt: skip


class Mutant:
    """lines: of the changed expression; what: the change in words."""

    def __init__(self, number: int, node: ast.expr | ast.stmt, change: str) -> None:
        part = node.test if isinstance(node, ast.If | ast.While | ast.IfExp) else node
        self.lines = range(node.lineno, (part.end_lineno or part.lineno) + 1)
        self.what = f"{change}: {ast.unparse(part)}"
        self._number = number
        self._change = change

    def tree(self, source: str) -> ast.Module:
        """The whole module with the change."""
        tree = ast.parse(source)
        for number, node in enumerate(_nodes(tree)):
            if number == self._number:
                _change(node, self._change)
                break
        return ast.fix_missing_locations(tree)


def mutants(source: str) -> list[Mutant]:
    """All mutants of a module, in the order of its lines. What only helps a type checker or a
    reader (annotations, __slots__, docstrings, assertions) is left alone."""
    made = [
        Mutant(number, node, change)
        for number, node in enumerate(_nodes(ast.parse(source)))
        for change in _changes(node)
    ]
    return sorted(made, key=lambda one: one.lines[0])


def apply(tree: ast.Module, module: ModuleType) -> None:
    """Let a module that was imported already do what the tree says, for whoever has a function or
    class of it. (Its numbers change for itself alone.)"""
    changed = ModuleType(module.__name__)
    exec(compile(tree, str(module.__file__), "exec"), vars(changed))
    _take(module, changed)


def _take(old: Any, new: Any) -> None:
    for name, value in list(vars(new).items()):
        before = vars(old).get(name)
        if isinstance(value, property):
            before, value = before.fget, value.fget
        if isinstance(value, FunctionType):
            before.__code__, before.__defaults__ = value.__code__, value.__defaults__
        elif isinstance(value, type) and value is not before:
            _take(before, value)
        elif isinstance(value, int | float | frozenset):
            setattr(old, name, value)


def _nodes(tree: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Statements and expressions that do something, each before its parts."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Assert | ast.Import | ast.ImportFrom | ast.arguments):
            continue
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
            continue  # a docstring
        if isinstance(child, ast.AnnAssign):
            if child.value is not None:
                yield from _nodes(ast.Expr(child.value))
            continue
        if isinstance(child, ast.Assign) and ast.unparse(child.targets[0]) == "__slots__":
            continue
        if isinstance(child, ast.expr | ast.stmt):
            yield child
        if isinstance(child, ast.FunctionDef):
            for part in child.body:
                yield from _nodes(ast.Module([part], []))
        else:
            yield from _nodes(child)


def _changes(node: ast.expr | ast.stmt) -> list[str]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _SWAPPED:
        return ["comparison"]
    if isinstance(node, ast.BoolOp):
        return ["and/or", *(f"without part {n + 1}" for n in range(len(node.values)))]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ["without not"]
    if isinstance(node, ast.BinOp) and type(node.op) in _SWAPPED:
        return ["plus/minus"]
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        return ["the other truth"]
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return ["one more"]
    if isinstance(node, ast.If | ast.While | ast.IfExp):
        return ["always", "never"]
    if isinstance(node, ast.Continue | ast.Break):
        return ["left out"]
    if isinstance(node, ast.Expr | ast.AugAssign):
        return ["left out"]
    return []


def _change(node: ast.AST, what: str) -> None:
    if isinstance(node, ast.Compare):
        node.ops[0] = _SWAPPED[type(node.ops[0])]()
    elif isinstance(node, ast.BoolOp) and what == "and/or":
        node.op = _SWAPPED[type(node.op)]()
    elif isinstance(node, ast.BoolOp):
        del node.values[int(what.split()[-1]) - 1]
        if len(node.values) == 1:
            node.values *= 2
    elif isinstance(node, ast.UnaryOp):
        _become(node, ast.Call(ast.Name("bool", ast.Load()), [node.operand], []))
    elif isinstance(node, ast.BinOp):
        node.op = _SWAPPED[type(node.op)]()
    elif isinstance(node, ast.Constant):
        assert isinstance(node.value, bool | int | float)
        node.value = not node.value if what == "the other truth" else node.value + 1
    elif isinstance(node, ast.If | ast.While | ast.IfExp):
        if isinstance(node, ast.While) and what == "always":
            what = "never"  # it would not end
        node.test = ast.Constant(what == "always")
    else:
        _become(node, ast.Pass())


def _become(node: Any, other: ast.AST) -> None:
    node.__class__ = other.__class__
    node.__dict__.update({name: getattr(other, name) for name in other._fields})
