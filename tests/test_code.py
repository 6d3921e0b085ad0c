"""A digest of code sees what can change a number, and nothing that is only said or belongs to another run."""

from __future__ import annotations

import shutil

import pytest

from sdft.common.code import CARRIERS, DECIDERS, STEPS, Code
from sdft.common.files import PACKAGE


@pytest.fixture
def digest(tmp_path):
    """The digest of a module of one's own, written anew each time; `beside` are further files of the package."""

    def made(source, **beside):
        package = tmp_path / "sdft"
        shutil.rmtree(package, ignore_errors=True)
        package.mkdir()
        for name, text in {"module": source, **beside}.items():
            stem, _, suffix = name.partition("__")
            (package / f"{stem}.{suffix or 'py'}").write_text(text)
        return Code(package).digest("sdft.module")

    return made


PLAIN = '''"""What it does."""
from tqdm import tqdm
DESCRIPTION = "Say what."
WORD = "Action:"

class A:
    size: int = 3

def f(x: int, parser) -> int:
    """Doc."""
    parser.add_argument("--n", default=1, help="how many")
    parser.parse(description=DESCRIPTION)
    parse_spec(A, "sdft.module", "What the step does.", [], "example: --n 1")
    read_json(A, "restore the file")
    y: float = x + 1
    mark = "so"
    why = "too small" if x else f"{y} is nothing"
    remedy = f"{why}, so add one"
    if x < 0:
        raise ValueError(f"{x} is negative")
    if WORD.startswith(mark):
        raise SdftError(remedy)
    for part in tqdm(WORD, desc="parts"):
        y += 1
    return y
'''.replace("parser.parse(description=DESCRIPTION)", "argparse.ArgumentParser(description=DESCRIPTION)")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("What it does.", "What it did."),
        ("    y: float = x + 1", "    # why\n    y = (x\n        + 1)"),
        ("x: int, parser) -> int", "x, parser)"),
        ("size: int", "size: float"),
        ("is negative", "may not be negative"),
        ('ValueError(f"{x} is negative")', 'ValueError(f"{x} is negative") from None'),
        ("how many", "how many there are"),
        ("Say what.", "Say something else."),
        ("What the step does.", "What it does."),
        ("example: --n 1", "example: --n 2"),
        ("restore the file", "put the file back"),
        ("too small", "very small"),
        ("is nothing", "is not enough"),
        ("so add one", "so add another"),
        ('desc="parts"', 'desc="pieces", unit="piece"'),
        ("    return y", '    print("done", y)\n    return y'),
        ("    return y", "    from sdft.evaluate.preflight import check_model\n    check_model(x)\n    return y"),
        ("from tqdm", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sdft import other\nfrom tqdm"),
    ],
)
def test_what_is_only_said_changes_no_digest(digest, before, after):
    assert before in PLAIN
    after = PLAIN.replace(before, after, 1).replace("from typing import TYPE_CHECKING\n", "")
    assert digest(after) == digest(PLAIN)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x + 1", "x + 2"),
        ("x + 1", "x + 1.0"),
        ("size: int = 3", "size: int = 4"),
        ("size: int = 3", "size: ClassVar[int] = 3"),
        ("if x < 0", "if x <= 0"),
        ('raise ValueError(f"{x} is negative")', "return 0"),
        ('ValueError(f"{x} is negative")', "KeyError(x)"),
        ("default=1", "default=2"),
        ("Action:", "Actions:"),
        ('mark = "so"', 'mark = "then"'),
        ("y += 1", "y += 2"),
    ],
)
def test_what_decides_changes_the_digest(digest, before, after):
    assert before in PLAIN
    assert digest(PLAIN.replace(before, after, 1)) != digest(PLAIN)


def test_a_text_counts_where_a_function_inside_or_the_module_uses_it(digest):
    inside = 'def f():\n    end = "a"\n    def g(text):\n        return text + end\n    return g\n'
    whole = 'def f():\n    global end\n    end = "a"\ndef g(text):\n    return text + end\n'
    for source in (inside, whole):
        assert digest(source) != digest(source.replace('"a"', '"b"'))


def test_a_text_counts_where_another_module_uses_it(digest):
    module = "from sdft import words\ndef f(text):\n    return text.startswith(words.MARK)\n"
    said = "from sdft import words\ndef f(add):\n    add('--x', help=words.HELP)\n"
    words = 'MARK = "a"\nHELP = "b"\n'
    assert digest(module, words=words) != digest(module, words=words.replace('"a"', '"c"'))
    assert digest(module, words=words) == digest(module, words=words.replace('"b"', '"c"'))
    assert digest(said, words=words) == digest(said, words=words.replace('"b"', '"c"'))


def test_modules_imported_in_functions_and_files_read_beside_a_module_count(digest):
    module = 'def f():\n    from sdft.other import g\n    return g(Path(__file__).with_name("data.yaml"))\n'
    found = [
        digest(module, other=other, data__yaml=data)
        for other, data in [("g = 1", "a: 1"), ("g = 2", "a: 1"), ("g = 1", "a: 2")]
    ]
    assert len(set(found)) == 3


def test_every_step_is_made_of_modules_that_exist():
    code = Code()
    for step, modules in STEPS.items():
        assert code.closure(modules), step
    for name in (*CARRIERS, *DECIDERS):
        assert code.file(name), name


def test_a_module_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"no module sdft\.methods\.unknown"):
        Code(PACKAGE).digest("sdft.methods.unknown")
