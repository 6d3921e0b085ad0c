"""`python -m sdft.data.knowledge.make`: articles, questions about them, and the splits of the knowledge task.

train, validation and test hold direct questions, ood indirect ones, corpus the articles themselves, in parts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sdft.common.command import read_spec
from sdft.common.endpoint import Endpoint
from sdft.common.errors import SdftError, run_main
from sdft.common.files import digest, sha256_file, write_json
from sdft.common.locks import publish_alone
from sdft.common.provenance import Clock, manifest
from sdft.data import invented
from sdft.data.fetch import local_path
from sdft.data.knowledge.articles import read_article, slug, windows
from sdft.data.knowledge.questions import INSTRUCTIONS, Distinct, Pair, write_pairs
from sdft.data.schema import Article, OfficialData, TaskArticles
from sdft.data.splits import limited, ranked, validation_ids
from sdft.records.record import Record, write_records

Pairs = dict[str, list[Pair]]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m sdft.data.knowledge.make",
        description="Make the knowledge task: OUT/{train,validation,test,ood,corpus}.jsonl and OUT/manifest.json.",
        epilog="example: python -m sdft.data.knowledge.make --spec DATA.json --out /tmp/knowledge",
    )
    add = parser.add_argument
    add("--spec", required=True, metavar="JSON", help="the scale's `data` block of config.yaml, as JSON text or a file")
    add("--store", default="results/upstream/wikipedia", metavar="DIR", help="for downloads (default: %(default)s)")
    add("--out", required=True, metavar="DIR")
    options = parser.parse_args(arguments)
    publish_alone(options.out)
    prepare(read_spec(OfficialData, options.spec), Path(options.store), Path(options.out))


def prepare(spec: OfficialData, store: Path, out: Path) -> None:
    """Write the splits. Raises SdftError where an article, its revision, the writer or its questions are missing."""
    clock = Clock()
    found = [entry for entry in spec.tasks.values() if isinstance(entry, TaskArticles)]
    if len(found) != 1:
        raise SdftError(f"--spec has {len(found)} tasks of articles; give it one, with data.tasks.NAME.articles.")
    (rules,) = found
    if spec.absent == "invent" and not all(_present(article) for article in rules.articles):
        texts, direct, indirect, source = _invent(rules)
        print("knowledge: articles and questions are invented; results on them mean nothing")
    else:
        texts, direct, indirect, source = _write(rules, store)

    splits: dict[str, list[Record]] = {name: [] for name in ("train", "validation", "test", "ood", "corpus")}
    for title, text in texts.items():
        records = [_record(title, "q", number, pair, text) for number, pair in enumerate(direct[title])]
        held = set(ranked([record.id for record in records], spec.split_seed)[: rules.test])
        rest = [record for record in records if record.id not in held]
        validating = validation_ids([record.id for record in rest], spec.validation_fraction, spec.split_seed)
        splits["test"] += [record for record in records if record.id in held]
        splits["train"] += [record for record in rest if record.id not in validating]
        splits["validation"] += [record for record in rest if record.id in validating]
        splits["ood"] += [_record(title, "ood", number, pair, text) for number, pair in enumerate(indirect[title])]
        splits["corpus"] += _corpus(title, text, rules.corpus_characters)

    splits = limited(splits, spec.limit)
    files = {}
    for name, records in splits.items():
        write_records(out / f"{name}.jsonl", records)
        files[f"{name}.jsonl"] = {"sha256": sha256_file(out / f"{name}.jsonl"), "rows": len(records)}
    ids = {name: [record.id for record in splits[name]] for name in ("validation", "test", "ood")}
    inputs = {title: entry["sha256"] for title, entry in source["articles"].items()}
    record = manifest("knowledge", clock=clock, config=rules.model_dump(mode="json"), inputs=inputs)
    write_json(out / "manifest.json", {"files": files, "source": source, "ids": ids, "manifest": record})


def _present(article: Article) -> bool:
    path = local_path(article)
    return path is not None and path.is_file()


def _record(title: str, kind: str, number: int, pair: Pair, text: str) -> Record:
    demonstrations = {"expert": pair.answer, "article": text, "article_expert": f"{text}\n\n{pair.answer}"}
    prompt = [{"role": "user", "content": pair.question}]
    return Record(f"knowledge-{slug(title)}-{kind}{number}", prompt, demonstrations, pair.answer, {"article": title})


def _corpus(title: str, text: str, characters: int) -> list[Record]:
    """The article in parts to train on as they are, which together are the whole of it."""
    parts = filter(None, (part.strip() for part in windows(text, characters)))
    return [
        Record(f"knowledge-{slug(title)}-corpus{number}", [{"role": "user", "content": part}], meta={"article": title})
        for number, part in enumerate(parts)
    ]


def _write(rules: TaskArticles, store: Path) -> tuple[dict[str, str], Pairs, Pairs, dict[str, Any]]:
    """The articles, their direct and indirect questions by title, and the manifest's account of them."""
    found = {article.title: read_article(article, store) for article in rules.articles}
    if rules.writer is None:
        raise SdftError(
            "nobody writes the questions about the articles: give writer beside them in the configuration, for example "
            "{model: gpt-5}, and the key of its endpoint."
        )
    endpoint = Endpoint(rules.writer, rules.writer.model, "writer")
    distinct = Distinct(rules.similarity)
    direct, indirect, account = {}, {}, {}
    for title, (text, origin) in found.items():
        wanted = {"direct": rules.train + rules.test, "ood": rules.ood}
        written = {
            kind: write_pairs(endpoint, kind, title, text, count, rules, distinct) for kind, count in wanted.items()
        }
        direct[title], indirect[title] = written["direct"].pairs, written["ood"].pairs
        account[title] = {
            "from": origin,
            "sha256": digest(text, 64),
            "characters": len(text),
            "left_out": {kind: dict(result.left_out) for kind, result in written.items()},
        }
        print(f"{title}: {len(direct[title])} questions, {len(indirect[title])} indirect ones")
    writer = {"model": endpoint.model, "endpoint": endpoint.address, "prompts": digest(INSTRUCTIONS, 16)}
    texts = {title: text for title, (text, _) in found.items()}
    return texts, direct, indirect, {"invented": False, "writer": writer, "articles": account}


def _invent(rules: TaskArticles) -> tuple[dict[str, str], Pairs, Pairs, dict[str, Any]]:
    texts, direct, indirect, account = {}, {}, {}, {}
    for place, article in enumerate(rules.articles):
        text, facts = invented.article(place, rules.train + rules.test)
        texts[article.title] = text
        direct[article.title] = [Pair(fact.question, fact.answer) for fact in facts]
        indirect[article.title] = [Pair(fact.indirect, fact.answer) for fact in facts[: rules.ood]]
        account[article.title] = {"invented": True, "sha256": digest(text, 64), "characters": len(text)}
    return texts, direct, indirect, {"invented": True, "articles": account}


if __name__ == "__main__":
    run_main(main)
