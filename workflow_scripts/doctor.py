"""Look at this machine and its cluster before a long run: `python workflow_scripts/doctor.py`.

Exit status 1 when something would fail. `--write SITE.yaml` writes the proposed lines as a profile of your site, to be
used as `snakemake --profile slurm --profile SITE.yaml`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pkgutil
import shutil
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import yaml

from sdft.common.errors import SdftError, explained, run_main
from sdft.common.files import write_text
from workflow_scripts import checks
from workflow_scripts.checks import CHECKS, Doctor, Finding

MARKS = {"ok": "ok  ", "warn": "note", "fail": "FAIL", "skip": "-   "}


def examine(doctor: Doctor, groups: list[str]) -> Iterator[tuple[str, str, Finding]]:
    """Run the checks of these groups in order. A check that breaks is itself a failure.

    What keeps several checks from being made, as a configuration that cannot be read, is found once.
    """
    said = set()
    for group, title, function in CHECKS:
        if group not in groups:
            continue
        try:
            found = function(doctor)
            yield from ((group, title, one) for one in ([found] if isinstance(found, Finding) else found))
        except SdftError as error:
            if str(error) not in said:
                said.add(str(error))
                yield group, title, Finding("fail", str(error))
        except Exception as error:
            if (paragraph := explained(error)) is not None:
                yield group, title, Finding("fail", paragraph)
                continue
            message = f"the check itself failed: {type(error).__name__}: {error}"
            yield group, title, Finding("fail", message, "look at this by hand; nothing is known about it")


def proposed_profile(doctor: Doctor) -> str:
    """The proposals that differ from the shipped profile, as YAML; empty when there are none."""
    changed = {key: value for key, value in doctor.proposals.items() if doctor.profile.get(key) != value}
    return yaml.safe_dump(changed, sort_keys=False, width=100) if changed else ""


def main(arguments: list[str] | None = None) -> int:
    for module in pkgutil.iter_modules(checks.__path__):
        importlib.import_module(f"{checks.__name__}.{module.name}")
    known = list(dict.fromkeys(group for group, _, _ in CHECKS))
    parser = argparse.ArgumentParser(
        prog="doctor.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"groups of checks: {', '.join(known)} (default: all)"
    )
    parser.add_argument(
        "--probe-seconds", type=float, default=120, help="how long to wait for a test job; 0: submit none"
    )
    parser.add_argument("--write", type=Path, metavar="SITE.yaml", help="write the proposed profile lines there")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    options = parser.parse_args(arguments)
    if unknown := set(options.groups) - set(known):
        parser.error(f"no group {', '.join(sorted(unknown))}; there are: {', '.join(known)}")

    doctor = Doctor(probe_seconds=options.probe_seconds)
    from workflow_scripts.checks.slurm import slurm_profile

    doctor.profile = slurm_profile(ROOT / "slurm/profile.yaml")
    groups = options.groups or known
    if not options.groups and shutil.which("sbatch") is None:
        # Without a cluster the study is the miniature one, unless somebody asks for more.
        groups = [group for group in groups if group not in ("slurm", "paper")]
        print("-    slurm, paper: no sbatch here, so this is not a machine that submits to a cluster", file=sys.stderr)

    findings = []
    for group, title, finding in examine(doctor, groups):
        findings.append((group, title, finding))
        if not options.json:
            text = f"{title}: {finding.message}" + (f" -> {finding.remedy}" if finding.remedy else "")
            print(
                textwrap.fill(text, 110, initial_indent=f"{MARKS[finding.status]} ", subsequent_indent="     "),
                flush=True,
            )
    if options.json:
        print(json.dumps([{"group": g, "title": t, **vars(f)} for g, t, f in findings], indent=1))
    lines = proposed_profile(doctor)
    if lines and options.write:
        write_text(
            options.write, f"# Written by workflow_scripts/doctor.py; each key replaces the shipped one.\n{lines}"
        )
        print(f"\nuse it: snakemake --profile slurm --profile {options.write}")
    elif lines and not options.json:
        print(f"\nLines for a profile of this site (--write SITE.yaml saves them):\n\n{lines}")
    return int(any(finding.status == "fail" for _, _, finding in findings))


if __name__ == "__main__":
    run_main(main)
