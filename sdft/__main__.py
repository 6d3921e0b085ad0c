"""`python -m sdft`: the steps, one line each; `python -m sdft STEP ...` runs one."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path

from sdft.common.errors import SdftError, did_you_mean, run_main

PACKAGE = Path(__file__).parent
# The steps that people start by hand, ahead of those that the workflow mostly starts.
FIRST = ("compare", "train", "evaluate", "config")
MODULES = {"compare": "sdft.comparison"}

INTRODUCTION = """The steps of the study. Each takes --help, with an example, and runs by hand as

  python -m sdft STEP ...

`snakemake --list-target-rules` lists what the workflow makes of them.
"""


def steps() -> dict[str, tuple[str, str]]:
    """Every step: its module and what it does in a line, as the first sentence of the module says."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path == Path(__file__) or '\nif __name__ == "__main__":' not in text:
            continue
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        module = ".".join(parts[:-1] if parts[-1] == "__main__" else parts)
        name = next((short for short, long in MODULES.items() if long == module), module.removeprefix("sdft."))
        found[name] = module, _line(ast.get_docstring(ast.parse(text)) or "")
    ahead = {name: found.pop(name) for name in FIRST}
    return ahead | found


def _line(documentation: str) -> str:
    """The first sentence, in lower case, without the command that it may begin with and marks of code."""
    line = " ".join(documentation.split("\n\n")[0].split())
    line = re.sub(r"^`python -m [^`]+`: ", "", line)
    line = re.split(r"(?<=[a-z0-9)])\. ", line)[0].rstrip(".").replace("`", "")
    # A name such as SFT keeps its capitals.
    return line if line[1:2].isupper() else line[:1].lower() + line[1:]


def show(listed: dict[str, tuple[str, str]]) -> None:
    """Print steps, one a line."""
    width = max(map(len, listed))
    print(INTRODUCTION)
    for name, (_, line) in listed.items():
        print(f"  {name:{width}}  {line}")


def main() -> None:
    arguments = sys.argv[1:]
    known = steps()
    if not arguments or arguments[0] in ("-h", "--help"):
        show(known)
        return
    name = arguments[0].removeprefix("sdft.")
    within = {step: found for step, found in known.items() if step.startswith(f"{name}.")}
    if within and name not in known:
        show(within)
        return
    if name not in known:
        raise SdftError(f"there is no step {arguments[0]!r}; {did_you_mean(name, known)} `python -m sdft` lists them.")
    module = known[name][0]
    sys.argv = [f"python -m {module}", *arguments[1:]]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        if (error.name or "sdft").startswith("sdft"):
            raise
        raise SdftError(
            f"{sys.executable} does not have the library {error.name}. `make env` sets up an environment that has all, "
            "and `source .venv/bin/activate` enters it."
        ) from None


if __name__ == "__main__":
    run_main(main)
