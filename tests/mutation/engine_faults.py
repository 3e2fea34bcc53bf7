"""
The small faults that can be put into engine/, and a sample of them.

What is changed: an operator, a comparison, a number, a condition, a sign, a min for a max, inside functions that
compute. What is not: annotations, decorators, defaults, docstrings, assertions, errors and their texts (an error's
*condition* is changed), and a line that says ``# no mutant: why`` because both ways give the same results and only
the speed differs.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

PRAGMA = "# no mutant:"


@dataclass(frozen=True)
class Mutant:
    """One fault: the bytes between two offsets of a file, replaced."""

    file: str
    name: str
    """The function around it."""
    line: int
    start: int
    stop: int
    before: str
    after: str
    nth: int
    """How many equal changes stand before it in the same function."""

    def drawn(self, seed: int) -> bytes:
        """Its place in the draw: it hangs on the fault itself, not on what stands elsewhere in the engine."""
        told = f"{seed}|{self.file}|{self.name}|{self.before}|{self.after}|{self.nth}"
        return blake2b(told.encode(), digest_size=16).digest()


_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift,
    ast.RShift: ast.LShift, ast.Pow: ast.Mult,
}  # fmt: skip
_CALLS = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum", "any": "all", "all": "any",
          "floor": "ceil", "ceil": "floor", "argmin": "argmax", "argmax": "argmin"}  # fmt: skip


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """Give a node with one fault, each in turn; nothing where there is nothing to change."""
    twin = deepcopy(node)
    match twin:
        case ast.Compare(ops=ops):
            for i, op in enumerate(ops):
                if type(op) in _COMPARE:
                    one = deepcopy(twin)
                    one.ops[i] = _COMPARE[type(op)]()
                    yield one
            return
        case ast.BinOp(op=op) if type(op) in _BINARY and not isinstance(twin.left, ast.JoinedStr):
            if isinstance(twin.left, ast.Constant) and isinstance(twin.left.value, str):
                return
            twin.op = _BINARY[type(op)]()
        case ast.AugAssign(op=op) if type(op) in _BINARY:
            twin.op = _BINARY[type(op)]()
        case ast.BoolOp(op=ast.And()):
            twin.op = ast.Or()
        case ast.BoolOp(op=ast.Or()):
            twin.op = ast.And()
        case ast.UnaryOp(op=ast.Not() | ast.Invert() | ast.USub(), operand=operand):
            twin = operand
        case ast.Constant(value=bool(value)):
            twin.value = not value
        case ast.Constant(value=int(value) | float(value)):
            twin.value = value + 1
        case ast.IfExp():
            twin.body, twin.orelse = twin.orelse, twin.body
        case ast.Call(func=ast.Name(id=name) as func) if name in _CALLS:
            func.id = _CALLS[name]
        case ast.Call(func=ast.Attribute(attr=name) as func) if name in _CALLS:
            func.attr = _CALLS[name]
        case _:
            return
    yield twin


def _untouched(node: ast.AST) -> list[ast.AST | None]:
    """Give the parts of a node in which nothing is changed."""
    match node:
        case ast.FunctionDef():
            return [node.args, node.returns, *node.decorator_list]
        case ast.AnnAssign():
            return [node.annotation]
        case ast.Raise() | ast.JoinedStr() | ast.Assert():
            return [node]
        case ast.Assign(targets=[ast.Name(id="msg")]):
            return [node]
    return []


Found = tuple[ast.AST, str]
"""What may be changed, and the full name of the innermost function that it stands in."""


def computing(tree: ast.Module) -> Iterator[Found]:
    """Give what computes."""
    skipped = {id(n) for node in ast.walk(tree) for part in _untouched(node) if part for n in ast.walk(part)}

    def within(node: ast.AST, name: str, *, computes: bool) -> Iterator[Found]:
        for child in ast.iter_child_nodes(node):
            if id(child) in skipped:
                continue
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                inside = isinstance(child, ast.FunctionDef) or computes
                yield from within(child, f"{name}.{child.name}", computes=inside)
            else:
                if computes:
                    yield child, name
                yield from within(child, name, computes=computes)

    yield from within(tree, "", computes=False)


def mutants_of(path: Path, root: Path) -> list[Mutant]:
    """Give every fault that can be put into a file."""
    raw = path.read_bytes()
    lines = raw.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    found: list[Mutant] = []
    alike: Counter[tuple[str, str, str]] = Counter()
    for node, name in computing(ast.parse(raw)):
        if not isinstance(node, ast.expr | ast.AugAssign) or PRAGMA.encode() in lines[node.lineno - 1]:
            continue
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        for twin in changed(node):
            text = ast.unparse(twin)
            key = (name, raw[start:stop].decode(), f"({text})" if isinstance(node, ast.expr) else text)
            found.append(
                Mutant(path.relative_to(root).as_posix(), name.strip("."), node.lineno, start, stop,
                       key[1], key[2], alike[key])
            )  # fmt: skip
            alike[key] += 1
    return found


def sample(root: Path, *, count: int, seed: int) -> list[Mutant]:
    """
    Draw faults from all over engine/, as many from a file as there is to change in it.

    The same seed draws the same faults; where code was added or deleted, the draw elsewhere stays as it was.
    They come in the order of the draw: the first hundred are a fair sample, too.
    """
    every = [m for path in sorted((root / "engine").rglob("*.py")) for m in mutants_of(path, root)]
    return sorted(every, key=lambda m: m.drawn(seed))[:count]
