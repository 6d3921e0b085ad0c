"""Which code decides a result: digests over the modules that a step imports, blind to what is only said.

A step starts again when the digest of its code changes, and finished weights are thrown away, so the digest sees what
can change a number and nothing else. Of the modules that a step's own modules import, directly or through others, it
leaves out those that carry values without deciding any (`carries`). Of each module it leaves out docstrings, comments,
layout, type annotations, what an error or a log says, texts with names that nothing else uses, the texts of --help, and
what a method or task is called and drawn like (`_Reader`). The condition under which an error is raised counts.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sdft.common.files import PACKAGE, atomic_path

# Modules that carry values, and record or show results: what they hand on stands in a step's parameters or its inputs.
CARRIERS = (
    # Files, locks, progress, provenance, errors, types.
    "sdft.common",
    # The configuration and the plan: what they choose is in every run's specification and in the rules' parameters.
    "sdft.study",
    *("sdft.config", "sdft.data.schema", "sdft.models.schema", "sdft.methods.settings"),
    "sdft.methods.hyperparameters",
    # Commands, and what starts, interrupts and continues a training with the same result.
    *("sdft.train", "sdft.learning.run", "sdft.learning.launch", "sdft.learning.checkpoint"),
    # What refuses before anything is computed.
    *("sdft.models.devices", "sdft.evaluate.preflight", "sdft.learning.fits"),
    # What watches a training and shows it.
    *("sdft.learning.probe", "sdft.learning.monitor", "sdft.learning.tracking", "sdft.learning.samples"),
    "sdft.learning.card",
)
# Within those layers, what does decide: random numbers, replies of a language model, verdicts on programs, the gate's
# comparison, and the rows and cells that tables and figures consist of.
DECIDERS = ("sdft.common.seeds", "sdft.common.endpoint", "sdft.common.cage", "sdft.study.gate", "sdft.study.exhibits")

# The modules that decide what a step makes, with all that they import. What a run or an exhibit adds, its method, its
# task and its benchmarks, is in sdft/study/rerun.py.
STEPS: dict[str, tuple[str, ...]] = {
    "data": ("sdft.miniature.data",),
    "official": ("sdft.data.prepare",),
    "knowledge": ("sdft.data.knowledge.make",),
    "base": ("sdft.miniature.pretrain",),
    "lengths": ("sdft.learning.lengths",),
    # What is trained on several GPUs shares the weights out; nothing that the loop imports says so.
    "train": ("sdft.learning.loop", "sdft.learning.spec", "sdft.learning.sharding"),
    "flops": ("sdft.learning.flops",),
    "estimators": ("sdft.losses.enumerated",),
    # What decides between equal candidates is part of the hyper-parameters.
    "select": ("sdft.learning.select", "sdft.methods.hyperparameters"),
    "evaluate": ("sdft.evaluate.__main__",),
    "passk": ("sdft.evaluate.passk",),
    "divergence": ("sdft.evaluate.distance",),
    "trajectory": ("sdft.evaluate.trajectory",),
    "judge": ("sdft.evaluate.judge",),
    "gate": ("sdft.study.gate",),
    "released": ("sdft.pages.released",),
    "tables": ("sdft.pages.tables.__main__",),
    "figures": ("sdft.pages.figures.__main__",),
    "ledger": ("sdft.pages.ledger",),
    "report": ("sdft.pages.site.build",),
}

# Texts for people: arguments of these are blanked. Statements that only call SPEAKERS are left out, as are the wait for
# another writer of the same result, who may read a file, and the early refusal of a model that is refused later anyway.
SPEAKERS = frozenset({"print", "say", "warnings", "logging", "logger", "publish_alone", "by_umask", "check_model"})
ERRORS = frozenset({"SdftError", "DivergedError"})
HELP = frozenset({"help", "description", "epilog", "metavar", "prog", "formatter_class"})
KEYWORDS = {
    **dict.fromkeys(("ArgumentParser", "add_argument", "add", "add_parser"), HELP),
    "Field": frozenset({"description"}),
    "tqdm": frozenset({"desc", "unit"}),
    "Task": frozenset({"title", "look"}),
}
HELPERS = frozenset({"add_argument_group", "parser"})
# The places of such texts among a call's positional arguments: what --help says of a step and its examples; the remedy.
PLACES = {"parse_spec": (2, 4), "read_json": (1,)}
# Declarations of a method that tables, figures and forecasts read.
SHOWN = frozenset({"title", "look"})


# Files that are remembered, old versions among them, before those that were not read now are dropped.
FORGET = 500


def carries(module: str) -> bool:
    """Whether a module carries values without deciding any."""
    within = lambda names: any(module == name or module.startswith(f"{name}.") for name in names)  # noqa: E731
    return within(CARRIERS) and not within(DECIDERS)


@dataclass(frozen=True)
class Normal:
    """What counts of one module.

    text: digest of the whole without its constant texts; constants: the digest of each text that is bound to a name at
    module level; used: names that the code looks up; imports: (level, module, names) of each import; beside: names that
    its texts spell and that may be of files beside it.
    """

    text: str
    constants: dict[str, str]
    used: list[str]
    imports: list[tuple[int, str, list[str]]]
    beside: list[str]


class _Reader:
    """Reads a module's syntax tree into what counts of it."""

    def __init__(self, source: str) -> None:
        self._forget()
        self.within: ast.AST | None = None
        self.said: set[ast.stmt] = set()
        constants, body = {}, []
        for node in ast.parse(source).body:
            name = _constant_name(node)
            if name is None:
                body.append(node)
            else:
                constants[name] = _sha(self.read(node.value))
        text = _sha(self.block(body))
        self.normal = Normal(text, constants, sorted(self.used), self.imports, sorted(self.beside))

    def _forget(self) -> None:
        self.used: set[str] = set()
        self.imports: list[tuple[int, str, list[str]]] = []
        self.beside: set[str] = set()

    def read(self, value: Any) -> Any:
        """A node as nested tuples without what does not count."""
        if isinstance(value, list):
            return tuple(self.read(part) for part in value)
        if not isinstance(value, ast.AST):
            return repr(value)
        special = getattr(self, f"read_{type(value).__name__}", None)
        return special(value) if special else self.fields(value)

    def fields(self, node: ast.AST, *without: str) -> tuple[Any, ...]:
        skip = {"annotation", "returns", "type_comment", "type_params", "ctx", "kind", *without}
        found = [(name, value) for name, value in ast.iter_fields(node) if name not in skip]
        parts = []
        for name, value in found:
            if name in ("body", "orelse", "finalbody") and isinstance(value, list):
                value = self.block(value, isinstance(node, ast.ClassDef))
            elif value is not None and value != []:
                value = self.read(value)
            else:
                continue
            if value:
                parts.append((name, value))
        return (type(node).__name__, *parts)

    def block(self, body: list[ast.stmt], of_class: bool = False) -> tuple[Any, ...]:
        return tuple(self.statement(node, of_class) for node in body if not self.silent(node, of_class))

    def silent(self, node: ast.stmt, of_class: bool) -> bool:
        """Whether a statement decides nothing."""
        match node:
            case ast.Pass() | ast.Expr(value=ast.Constant()):
                return True
            case ast.Expr(value=ast.Call(func=func)):
                return _first_name(func) in SPEAKERS
            case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=[]):
                return True
            case ast.ImportFrom(module="__future__"):
                return True
            case ast.ImportFrom(level=0, module=str(module)) if carries(module):
                return all(carries(f"{module}.{alias.name}") for alias in node.names)
            case ast.AnnAssign(target=ast.Name(id=name)):
                return (node.value is None and not of_class) or (of_class and name in SHOWN)
            case ast.Assign(targets=[ast.Name(id=name)]):
                return (of_class and name in SHOWN) or node in self.said
        return False

    def read_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if self.within is not None:
            return self.fields(node)
        self.within = node
        self.said = self._only_said(node)
        found = self.fields(node)
        self.within, self.said = None, set()
        return found

    def _only_said(self, function: ast.FunctionDef) -> set[ast.stmt]:
        """Assignments in a function that give a text to a name that only errors, logs and help use."""
        kept = self.used, self.imports, self.beside
        said = self.said = set(filter(_names_a_text, ast.walk(function)))
        elsewhere = {name for node in ast.walk(function) if isinstance(node, ast.Global) for name in node.names}
        while said:
            self._forget()
            self.fields(function)
            looked_up = {node for node in said if node.targets[0].id in self.used | elsewhere}
            if not looked_up:
                break
            said -= looked_up
        self.used, self.imports, self.beside = kept
        return said

    def statement(self, node: ast.stmt, of_class: bool) -> Any:
        if isinstance(node, ast.AnnAssign):
            # A dataclass tells its fields from its other attributes by the annotation.
            kind = ("field", "ClassVar" in ast.dump(node.annotation)) if of_class else ()
            return ("Assign", self.read(node.target), node.value and self.read(node.value), *kind)
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            return ("Assign", self.read(node.targets[0]), self.read(node.value))
        return self.read(node)

    def read_Raise(self, node: ast.Raise) -> Any:
        error = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return ("Raise", error and self.read(error))

    def read_Call(self, node: ast.Call) -> Any:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        if name in ERRORS | HELPERS:
            return ("Call", self.read(node.func))
        texts, places = KEYWORDS.get(name, ()), PLACES.get(name, ())
        arguments = [argument for place, argument in enumerate(node.args) if place not in places]
        keywords = [self.read(keyword) for keyword in node.keywords if keyword.arg not in texts]
        return ("Call", self.read(node.func), self.read(arguments), tuple(keywords))

    def read_Name(self, node: ast.Name) -> Any:
        self.used.add(node.id)
        return ("Name", node.id)

    def read_Attribute(self, node: ast.Attribute) -> Any:
        self.used.add(node.attr)
        return ("Attribute", self.read(node.value), node.attr)

    def read_Constant(self, node: ast.Constant) -> Any:
        if isinstance(node.value, str) and node.value.endswith((".py", ".yaml", ".json")):
            self.beside.add(node.value)
        return ("Constant", repr(node.value))

    def read_Import(self, node: ast.Import) -> Any:
        self.imports += [(0, alias.name, []) for alias in node.names]
        return self.fields(node)

    def read_ImportFrom(self, node: ast.ImportFrom) -> Any:
        self.imports.append((node.level, node.module or "", [alias.name for alias in node.names]))
        return self.fields(node)


def _constant_name(node: ast.stmt) -> str | None:
    """The name that a statement at module level binds to a text."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.JoinedStr() | ast.Constant(value=str())):
            return name
    return None


def _names_a_text(node: ast.AST) -> bool:
    """Whether a statement gives a text, or one of several, to a name."""
    match node:
        case ast.Assign(targets=[ast.Name()], value=value):
            return _is_text(value)
    return False


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return _is_text(node.body) and _is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _first_name(node: ast.expr) -> str | None:
    """The name that a chain of attributes and calls starts with."""
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else None


def _sha(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


class Code:
    """The package's modules, read once. A memory beside the byte code spares reading unchanged files again."""

    def __init__(self, package: str | Path = PACKAGE) -> None:
        self.package = Path(package)
        self._memory_path = self.package / "__pycache__" / "code.json.gz"
        self._own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
        self._memory: dict[str, Any] = {}
        with suppress(OSError, ValueError, AttributeError):
            found = json.loads(gzip.decompress(self._memory_path.read_bytes()))
            self._memory = found["modules"] if found.get("reader") == self._own else {}
        self._digests: dict[Any, str] = {}
        self._normal: dict[Path, Normal] = {}
        self._files: dict[str, Path | None] = {}

    def file(self, module: str) -> Path | None:
        """The file of a dotted name, None where the package has no such module."""
        if module not in self._files:
            path = self.package.joinpath(*module.split(".")[1:])
            found = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
            self._files[module] = found[0] if found else None
        return self._files[module]

    def normal(self, path: Path) -> Normal:
        """What counts of a Python file."""
        if path not in self._normal:
            source = path.read_bytes()
            key = hashlib.sha256(source).hexdigest()
            if key not in self._memory:
                self._memory[key] = asdict(_Reader(source.decode()).normal)
                self._memory_changed = True
            self._normal[path] = Normal(**self._memory[key])
        return self._normal[path]

    def imported(self, module: str) -> set[str]:
        """Modules of the package that a module imports anywhere in it, functions included."""
        path, found = self.file(module), set()
        package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
        for level, name, names in self.normal(path).imports:
            base = ".".join([*package[: len(package) - level + 1], *filter(None, [name])]) if level else name
            if base.split(".")[0] == "sdft":
                parts = base.split(".")
                found |= {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
                found |= {f"{base}.{part}" for part in names}
        return {name for name in found if self.file(name)}

    def closure(self, modules: Iterable[str], without: Iterable[str] = ()) -> list[str]:
        """The modules and all that they import and that does not only carry; not into the packages `without`."""
        cut = tuple(without)
        seen: set[str] = set()
        waiting = list(modules)
        for module in waiting:
            if self.file(module) is None:
                raise ValueError(f"the package has no module {module}")
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += [
                    name
                    for name in self.imported(module)
                    if not carries(name) and not any(name == part or name.startswith(f"{part}.") for part in cut)
                ]
        return sorted(seen)

    def digest(self, *modules: str, without: Iterable[str] = (), files: Iterable[Path] = ()) -> str:
        """Twelve hex digits over the closure of the modules, the files that they name and lie beside them, and `files`.

        Raises ValueError for a module that is not there.
        """
        key = (modules, tuple(without), tuple(files))
        if key not in self._digests:
            self._digests[key] = self._digest(*key)
            self._remember()
        return self._digests[key]

    def _digest(self, modules: tuple[str, ...], without: tuple[str, ...], files: tuple[Path, ...]) -> str:
        parts: list[Any] = []
        texts: dict[str, dict[str, str]] = {}
        used: set[str] = set()
        more = list(files)
        for module in self.closure(modules, without):
            path = self.file(module)
            normal = self.normal(path)
            parts.append((module, normal.text))
            texts[module] = normal.constants
            used |= set(normal.used)
            beside = [path.parent / name for name in normal.beside if name != path.name]
            more += [file for file in beside if file.is_file()]
        parts += [
            (module, name, value)
            for module, constants in texts.items()
            for name, value in constants.items()
            if name in used
        ]
        for path in sorted(set(more)):
            text = self.normal(path).text if path.suffix == ".py" else hashlib.sha256(path.read_bytes()).hexdigest()
            parts.append((path.name, text))
        return _sha(parts)[:12]

    _memory_changed = False

    def _remember(self) -> None:
        if self._memory_changed:
            self._memory_changed = False
            if len(self._memory) > FORGET:
                read = {hashlib.sha256(path.read_bytes()).hexdigest() for path in self._normal}
                self._memory = {key: value for key, value in self._memory.items() if key in read}
            content = json.dumps({"reader": self._own, "modules": self._memory}).encode()
            with suppress(OSError), atomic_path(self._memory_path) as part:
                part.write_bytes(gzip.compress(content, 1))


@cache
def here() -> Code:
    """The code that is running."""
    return Code()


def code_digest(*modules: str, without: Iterable[str] = (), files: Iterable[Path] = ()) -> str:
    """Twelve hex digits over the code that decides what `modules` (dotted names) make; see `Code.digest`."""
    return here().digest(*modules, without=without, files=files)


def step_code(step: str) -> str:
    """The digest of what decides a step, apart from methods and tasks."""
    return code_digest(*STEPS[step])
