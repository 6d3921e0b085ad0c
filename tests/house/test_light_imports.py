"""What importing a module loads: planning, judging and showing a study needs none of the libraries that models need."""

from __future__ import annotations

import pkgutil
import subprocess
import sys

import pytest

import sdft

MODELS = ("torch", "transformers", "accelerate", "datasets", "lm_eval")
NUMBERS = ("numpy", "scipy", "pandas", "matplotlib")
PLANNED = ("common", "records", "scoring", "tasks", "methods", "data", "models", "study")
SHOWN = ("evidence", "pages")


@pytest.mark.slow
@pytest.mark.parametrize(("folders", "heavy"), [(PLANNED, MODELS + NUMBERS), (SHOWN, MODELS)], ids=["planned", "shown"])
def test_importing_a_folder_loads_no_heavy_library(folders, heavy):
    names = [
        module.name
        for folder in folders
        for module in pkgutil.walk_packages([f"{sdft.__path__[0]}/{folder}"], f"sdft.{folder}.")
        if not module.name.endswith("__main__")
    ]
    assert len(names) > 15
    code = f"import sys, {', '.join(names)}\nprint(*({set(heavy)} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
