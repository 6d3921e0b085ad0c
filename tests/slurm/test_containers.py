"""The container files as far as they can be checked without building them."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from cluster import ROOT

DOCKER = (ROOT / "envs/Dockerfile").read_text()
APPTAINER = (ROOT / "envs/sdft.def").read_text()


def instructions(text):
    """A Dockerfile's instructions, continuation lines joined and comments left out."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line.split(None, 1) for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines() if line.strip()]


def sections(text):
    """An Apptainer definition's header and sections by name."""
    parts = re.split(r"^%(\w+)\n", text, flags=re.M)
    return parts[0], dict(zip(parts[1::2], parts[2::2], strict=True))


def test_both_have_the_same_base():
    header, _ = sections(APPTAINER)
    fields = dict(line.split(": ", 1) for line in header.splitlines() if line)
    assert fields == {"Bootstrap": "docker", "From": instructions(DOCKER)[0][1]}


def test_what_they_copy_exists():
    copied = [rest.split() for name, rest in instructions(DOCKER) if name == "COPY"]
    copied += [line.split() for line in sections(APPTAINER)[1]["files"].splitlines() if line.strip()]
    assert len(copied) == 2
    for source, _ in copied:
        assert (ROOT / source).is_file(), source


def test_they_install_the_lock_file_and_nothing_else_from_pip():
    for text in (DOCKER, APPTAINER):
        wanted = re.findall(r"pip install ([^\n\\]+?)\s*\\?$", text, flags=re.M)
        assert [words.split()[-1] for words in wanted] == [
            '/opt/sdft/requirements.txt)"',
            "/opt/sdft/requirements.txt",
        ]


def scripts():
    """Every shell script in the two files, by the place where it stands."""
    _, found = sections(APPTAINER)
    named = {f"%{name}": found[name] for name in ("post", "environment", "runscript", "test")}
    return named | {f"RUN {i}": rest for i, (name, rest) in enumerate(instructions(DOCKER)) if name == "RUN"}


@pytest.mark.parametrize("place", scripts())
def test_their_shell_scripts_are_sound(place):
    """What hadolint and shellcheck look for first, so far as it applies here."""
    text = scripts()[place]
    assert subprocess.run(["sh", "-n"], input=text, text=True, capture_output=True, check=False).stderr == ""
    for line in re.split(r"\n|&&", text):
        words = line.split()
        if words[:2] == ["apt-get", "install"]:
            assert {"-y", "--no-install-recommends"} <= set(words)
        if words[:2] == ["pip", "install"]:
            assert "--no-cache-dir" in words
        assert not {"sudo", "cd", "apt"} & set(words[:1])
        # Without pipefail the first command of a pipe may fail unseen.
        assert not re.search(r"[^|]\|[^|]", line)
    if "apt-get install" in text:
        assert text.index("apt-get update") < text.index("apt-get install") < text.index("rm -rf /var/lib/apt/lists/*")
    # A failure of an early command must not be forgiven together with a late one.
    assert not re.search(r"&&[^{}]*\|\| true", text)


def test_docker_s_paths_are_absolute_and_its_entry_is_no_shell():
    for name, rest in instructions(DOCKER):
        if name in ("WORKDIR", "COPY"):
            assert rest.split()[-1].startswith("/")
        if name == "ENTRYPOINT":
            assert rest.startswith("[")


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed")
def test_hadolint_finds_nothing():
    # DL3008: Debian packages without versions; the base image's date pins them well enough.
    command = ["hadolint", "--ignore", "DL3008", str(ROOT / "envs/Dockerfile")]
    assert subprocess.run(command, capture_output=True, text=True, check=False).stdout == ""
