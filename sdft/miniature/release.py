"""Copy trained base models into the released ones, with the SHA-256 of every file.

    python -m sdft.miniature.release MODEL_DIR ... --out released/mini

No training rule writes here: released weights change only when somebody asks for it by this command.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from sdft.common.errors import SdftError, run_main
from sdft.common.files import atomic_path, read_json, sha256_files, write_json
from sdft.common.locks import publish_alone

FILES = (
    "base.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "requirements.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def release(folder: Path, out: Path) -> None:
    """Copy one trained and checked model into out/NAME and record it in out/sha256.json.

    Raises SdftError where a file is missing, requirements.json (written by sdft.evaluate.requirements) among them.
    """
    for name in FILES:
        if not (folder / name).is_file():
            raise SdftError(f"{folder / name} is missing; train it and run sdft.evaluate.requirements first.")
    target, listing = out / folder.name, out / "sha256.json"
    for name in FILES:
        with atomic_path(target / name) as part:
            shutil.copyfile(folder / name, part)
    known = read_json(listing) if listing.exists() else {}
    write_json(listing, dict(sorted({**known, folder.name: sha256_files(target)}.items())))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description="Copy trained base models into the released ones.",
        epilog="example: python -m sdft.miniature.release results/mini/base/m-s1 --out released/mini",
    )
    parser.add_argument(
        "models", type=Path, nargs="+", help="folders named as the released models are to be, such as m-s1"
    )
    parser.add_argument("--out", type=Path, default=Path("released/mini"), help="default released/mini")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    for folder in options.models:
        release(folder, options.out)
    return 0


if __name__ == "__main__":
    run_main(main)
