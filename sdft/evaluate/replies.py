"""What a model replied to lm_eval, kept so that a benchmark can be scored again without the model.

lm_eval asks a model one list of requests of each kind: log-likelihoods of choices, or texts. Kept replies are used
where exactly the same list is asked again; otherwise the model is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lm_eval.api.model import LM

from sdft.common.errors import SdftError
from sdft.common.files import digest


class Unanswered(SdftError):
    """The requests are not those whose replies were kept, and the model is gone."""


class KeptReplies(LM):
    """lm_eval's view of a model whose replies are kept.

    kept: replies of an earlier run, by a digest of the requests, as JSON has them; it holds those of this run in the
    end. load: gives the model, for requests that were not kept; None where it is gone. block: by kind, so many requests
    are asked at a time; note: called when a block's replies are there.
    """

    def __init__(
        self,
        kept: dict[str, list[Any]],
        load: Callable[[], LM] | None,
        block: dict[str, int] | None = None,
        note: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self.kept, self.load, self.block, self.note = kept, load, block or {}, note
        self._before = dict(kept)
        kept.clear()

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        return [tuple(reply) for reply in self._replies("loglikelihood", requests)]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[Any]:
        return self._replies("loglikelihood_rolling", requests)

    def generate_until(self, requests: list[Any]) -> list[Any]:
        return self._replies("generate_until", requests)

    def _replies(self, kind: str, requests: list[Any]) -> list[Any]:
        whole = len(requests)
        size = whole if self._key(kind, requests) in self._before else self.block.get(kind) or whole
        blocks = [requests[start : start + size] for start in range(0, whole, size or 1)]
        return [reply for block in blocks for reply in self._replies_to(kind, block)]

    def _replies_to(self, kind: str, requests: list[Any]) -> list[Any]:
        key = self._key(kind, requests)
        found = self._before.get(key)
        if found is None or len(found) != len(requests):
            found = getattr(self._model(), kind)(requests)
            self.kept[key] = found
            if self.note:
                self.note()
        self.kept[key] = found
        return found

    @staticmethod
    def _key(kind: str, requests: list[Any]) -> str:
        return digest([kind, [request.args for request in requests]], 16)

    def _model(self) -> LM:
        if self.load is None:
            raise Unanswered("the benchmark asks what it did not ask before, and the weights are gone.")
        return self.load()

    def apply_chat_template(self, *arguments: Any, **options: Any) -> str:
        return self._model().apply_chat_template(*arguments, **options)

    @property
    def tokenizer_name(self) -> str:
        return self._model().tokenizer_name
