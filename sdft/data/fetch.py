"""One upstream file at a pinned revision: from a local path, GitHub or the Hugging Face hub."""

from __future__ import annotations

import hashlib
import http.client
import os
import urllib.error
import urllib.request
from pathlib import Path

from sdft.common.errors import SdftError
from sdft.common.files import atomic_path, read_json, sha256_file, write_text
from sdft.data.schema import Source

GITHUB = "https://raw.githubusercontent.com/{repository}/{revision}/{file}"
SECONDS = 60


def local_path(source: Source) -> Path | None:
    """The source's local path with variables and ~ replaced; None without one, or where a variable is not set."""
    if source.path is None:
        return None
    text = os.path.expanduser(os.path.expandvars(source.path))
    return None if "$" in text else Path(text)


def fetch(source: Source, store: str | Path) -> Path:
    """The source's file or folder on this machine, downloaded into `store` where there is no local path.

    A file that was downloaded before is not downloaded again. Raises SdftError when there is no network, the upstream
    file moved, access is refused, or the content is not the pinned one.
    """
    path = local_path(source)
    if path is not None:
        if not path.exists():
            raise SdftError(f"the local copy {path} does not exist; mend the path in config.yaml, or leave it out.")
    elif source.github or source.hub:
        get = _from_github if source.github else _from_hub
        repository = source.github or source.hub
        target = Path(store) / repository / source.revision[:12] / source.file
        if target.suffix:
            path = get(repository, source.revision, source.file, target)
        else:
            path = _folder(get, repository, source.revision, source.file, target)
    else:
        raise SdftError(f"the local path {source.path} holds a variable that is not set, and there is no upstream.")
    if source.sha256:
        check_content(path, source.sha256)
    return path


def check_content(path: Path, sha256: str) -> None:
    """Raise SdftError unless the file, or the one data file of a folder saved by datasets, has this SHA-256."""
    found = content_sha256(path)
    if found != [sha256]:
        raise SdftError(
            f"{path} has sha256 {', '.join(found) or '(no data file)'} but config.yaml pins {sha256}: it is not the "
            "file that the study is defined on, or is truncated. Delete it and run again to download it anew; to use "
            "another file on purpose, change its sha256 and rows in config.yaml."
        )


def content_sha256(path: Path) -> list[str]:
    """SHA-256 of a file, or of each data file of a folder saved by datasets."""
    return [sha256_file(file) for file in ([path] if path.is_file() else sorted(path.glob("*.arrow")))]


def _folder(get, repository: str, revision: str, folder: str, target: Path) -> Path:
    """A folder saved by datasets: state.json lists its data files."""
    for name in ("dataset_info.json", "state.json"):
        get(repository, revision, f"{folder}/{name}", target / name)
    for entry in read_json(target / "state.json")["_data_files"]:
        get(repository, revision, f"{folder}/{entry['filename']}", target / entry["filename"])
    return target


def _from_github(repository: str, revision: str, file: str, target: Path) -> Path:
    """The file at `target`, as it was when it was downloaded first, which the folder sha256/ beside it remembers."""
    record = target.parent / "sha256" / target.name
    known = record.read_text(encoding="utf-8").strip() if record.is_file() else None
    if target.exists() and known in (None, sha256_file(target)):
        return target
    url = GITHUB.format(repository=repository, revision=revision, file=file)
    try:
        with urllib.request.urlopen(url, timeout=SECONDS) as answer:
            content = answer.read()
    except urllib.error.HTTPError as error:
        reason = "the file was moved or removed upstream" if error.code == 404 else f"HTTP status {error.code}"
        raise _unavailable(url, reason) from None
    except http.client.HTTPException as error:
        raise _unavailable(url, f"the answer broke off ({error!r})") from None
    except OSError as error:
        raise _unavailable(url, f"no answer ({getattr(error, 'reason', error)}); is there a network?") from None
    found = hashlib.sha256(content).hexdigest()
    if known not in (None, found):
        raise SdftError(
            f"{url} has sha256 {found}, and had {known} when it was downloaded first: a commit does not change, so "
            f"something between here and GitHub does. Try another network; if the first was wrong, delete {record}."
        )
    write_text(record, f"{found}\n")
    with atomic_path(target) as part:
        part.write_bytes(content)
    return target


def _from_hub(repository: str, revision: str, file: str, target: Path) -> Path:
    if target.exists():
        return target
    from huggingface_hub import hf_hub_download

    try:
        found = hf_hub_download(repository, file, revision=revision, repo_type="dataset")
    except Exception as error:
        raise _unavailable(f"{repository}/{file} at {revision[:12]}", hub_reason(error)) from None
    return Path(found)


def hub_reason(error: Exception) -> str:
    """Why huggingface_hub failed, in words."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "it is gated; accept its terms on huggingface.co and set HF_TOKEN"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "there is no such repository, or it is private and HF_TOKEN is not set"
    if isinstance(error, errors.RevisionNotFoundError | errors.EntryNotFoundError) and not isinstance(
        error, errors.LocalEntryNotFoundError
    ):
        return "it was moved or removed upstream"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled | OSError):
        return "no answer; is there a network?"
    return " ".join(str(error).split())[:300]


def _unavailable(what: str, reason: str) -> SdftError:
    return SdftError(
        f"{what} could not be downloaded: {reason}. Repeat the command where there is a network (finished files are "
        "kept), or give a local copy as `path` in config.yaml."
    )
