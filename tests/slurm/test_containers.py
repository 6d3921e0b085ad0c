"""The container files as far as they can be checked without building them."""

from __future__ import annotations

import re

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


def test_docker_instructions_are_known_ones_and_the_base_is_exact():
    found = instructions(DOCKER)
    assert found[0][0] == "FROM"
    assert {name for name, _ in found} <= {"FROM", "RUN", "COPY", "WORKDIR", "ENTRYPOINT", "ENV"}
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-bookworm", found[0][1])


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


@pytest.mark.parametrize("text", [DOCKER, APPTAINER])
def test_they_say_that_nobody_has_built_them(text):
    assert "nobody has built it yet" in text


def test_apptainer_sections_are_known_ones():
    _, found = sections(APPTAINER)
    assert set(found) <= {"help", "files", "post", "environment", "runscript", "test", "labels"}
    assert found["post"].lstrip().startswith("set -e")
