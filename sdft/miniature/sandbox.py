"""Run the small programs of the miniature world's coding benchmark.

What its models can write is arithmetic on one argument, which is computed here (`_is_arithmetic`). Any other program
goes into the cage, as every other model's do.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from sdft.common import cage

SECONDS, MEMORY = 2, 256
# Words and nesting of a body that is looked at here: what a miniature model writes has 16 words at most.
LONGEST = 200
# Without loops, conditions, text, powers and names that begin with an underscore: one expression after the other.
HARMLESS = (
    *(ast.Module, ast.FunctionDef, ast.arguments, ast.arg, ast.Return, ast.Expr, ast.AnnAssign),
    *(ast.Name, ast.Load, ast.Store, ast.Constant, ast.Attribute, ast.Call, ast.Tuple, ast.Set, ast.Dict),
    *(ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.UnaryOp, ast.USub, ast.UAdd),
)


def outputs(body: str, argument: str, inputs: list[Any]) -> list[Any] | None:
    """What a function of one argument with this body returns for each input; None if it fails or takes too long.

    Without built-in functions; values are as JSON has them. Raises CageError where the program needs the cage and that
    cannot be had.
    """
    source = f"def f({argument}):\n    {body}"
    if len(source) <= LONGEST:
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, MemoryError, RecursionError):
            return None
        if _is_arithmetic(tree) and all(isinstance(value, int) for value in inputs):
            return _compute(tree, inputs)
    program = f"space = {{'__builtins__': {{}}}}\nexec({source!r}, space)\nf = space['f']"
    tests = f"value = [f(given) for given in {inputs!r}]"
    return _plain(cage.run(program, tests, seconds=SECONDS, memory=MEMORY).value)


def _is_arithmetic(tree: ast.Module) -> bool:
    """Whether a program can do nothing but add, subtract and multiply its argument and small numbers.

    Names are the argument's and the function's alone, since there are no built-in functions.
    """
    nodes = list(ast.walk(tree))
    kinds = {type(node) for node in nodes}
    return (
        len(tree.body) == 1
        and kinds <= set(HARMLESS)
        and all(isinstance(node.value, int | None) for node in nodes if isinstance(node, ast.Constant))
        and all(node.attr.isalpha() for node in nodes if isinstance(node, ast.Attribute))
        # A product repeats a tuple.
        and not kinds >= {ast.Tuple, ast.Mult}
    )


def _compute(tree: ast.Module, inputs: list[Any]) -> list[Any] | None:
    space: dict[str, Any] = {"__builtins__": {}}
    try:
        exec(compile(tree, "<program>", "exec"), space)
        return _plain([space["f"](value) for value in inputs])
    except Exception:
        return None


def _plain(values: Any) -> Any:
    """Values as JSON has them, None for what JSON cannot write."""
    try:
        return json.loads(json.dumps(values))
    except (TypeError, ValueError):
        return None
