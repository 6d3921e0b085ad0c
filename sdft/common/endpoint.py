"""A language model behind an OpenAI-compatible endpoint, asked through the official client, with a cache on disk.

Every reply that could be read is kept under a digest of the model's name and the whole prompt, so that a step which
fails midway, or is repeated, pays for nothing twice.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field

from sdft.common.errors import SdftError
from sdft.common.files import digest, read_json, write_json
from sdft.common.schema import Positive, Strict
from sdft.common.secrets import masked

# How often an unreadable reply is asked for again.
TRIES = 3
SECONDS = 600.0
# Seconds between further rounds of attempts where there were too many requests: limits count by the minute, and the
# client itself waits 8 seconds at most.
PAUSES = (20.0, 40.0, 60.0)
# What an endpoint calls a refusal, also with status 429, that no waiting ends.
SPENT = "insufficient_quota"
REASONS = {401: "the API key was refused", 404: "there is no such model or address", 429: "too many requests"}

Value = TypeVar("Value")
Messages = list[dict[str, str]]


def _variable(name: str) -> str:
    # The message must not repeat what may be a key.
    if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
        raise ValueError("this is the name of an environment variable (capital letters, digits, '_'), not its value")
    return name


# What is no such address may be hidden from no log: where a login in it ends is not known.
ADDRESS = re.compile(r"https?://[^/\s]")


def _address(url: str) -> str:
    if not ADDRESS.match(url):
        raise ValueError("an address begins with http:// or https:// and a host")
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise ValueError("an address holds no name or password; set the key in the variable of api_key_variable")
    return url


Variable = Annotated[str, AfterValidator(_variable)]
ModelName = Annotated[str, Field(pattern=r"^\S+$")]


class EndpointConfig(Strict):
    """A model behind an OpenAI-compatible endpoint.

    reasoning_effort: of a model that thinks; null leaves it to the model. Hidden thinking is most of what GPT-5-mini
    costs. base_url_variable and api_key_variable name environment variables, so that neither need stand in a file.
    """

    model: ModelName
    base_url: Annotated[str, AfterValidator(_address)] | None = None
    base_url_variable: Variable = "OPENAI_BASE_URL"
    api_key_variable: Variable = "OPENAI_API_KEY"
    attempts: Positive = 6
    parallel: Positive = 8
    max_tokens: Positive = 2000
    reasoning_effort: str | None = None
    cache: str


def missing_key(config: EndpointConfig) -> bool:
    """Whether the endpoint needs an API key and the environment has none."""
    return not (os.environ.get(config.api_key_variable) or base_url(config))


def base_url(config: EndpointConfig) -> str | None:
    """The endpoint's address; None for the client's own default."""
    return config.base_url or os.environ.get(config.base_url_variable)


class Endpoint:
    """One model. role: its name in messages and in config.yaml, for example "judge". seconds: to wait for a reply.

    Raises SdftError when there is no key for an endpoint that needs one.
    """

    def __init__(self, config: EndpointConfig, model: str, role: str, seconds: float = SECONDS) -> None:
        import openai

        self.config, self.model, self.role = config, model, role
        self.key = os.environ.get(config.api_key_variable)
        address = base_url(config)
        if address and not ADDRESS.match(address):
            raise SdftError(
                f"the address of the {role} {model} in the environment variable {config.base_url_variable} does not "
                "begin with http:// or https:// and a host; mend it, or unset the variable."
            )
        # As it may be shown and recorded.
        self.address = address and masked(address)
        if missing_key(config):
            raise SdftError(
                f"the {role} {model} needs an API key: set the environment variable {config.api_key_variable}, or give "
                f"{role}.base_url of a server of your own in config.yaml."
            )
        # The client waits longer after each refusal (429, 5xx, no connection), or as long as the server says.
        self.client = openai.OpenAI(
            base_url=address,
            api_key=self.key or "none",
            max_retries=config.attempts - 1,
            timeout=seconds,
        )
        self.limit_name = "max_completion_tokens"

    def ask(
        self, messages: Messages, read: Callable[[str], Value | None], *, draw: int = 0, keep_all: bool = False
    ) -> tuple[str, Value | None]:
        """The reply to a conversation and what `read` makes of it, which is None for a reply of no use.

        From the cache where it was asked before. A reply of no use is asked for again, and is kept in the end only if
        `keep_all` says so. draw: another number asks the same once more. Raises SdftError when the endpoint fails for
        good.
        """
        path = self.path(messages, draw)
        if path.is_file():
            # A damaged reply is asked for again.
            reply = self._kept(path)
            value = None if reply is None else read(reply)
            if reply is not None and (value is not None or keep_all):
                return reply, value
        for _ in range(TRIES):
            reply = self.reply(messages, PAUSES)
            value = read(reply)
            if value is not None:
                break
        if value is not None or keep_all:
            write_json(path, {"model": self.model, "reply": reply})
        return reply, value

    def ask_all(
        self, conversations: Sequence[Messages], read: Callable[[str], Value | None], **options: Any
    ) -> list[tuple[str, Value | None]]:
        """`ask` for several conversations at a time, in their order. The first failure for good stops the others."""
        with ThreadPoolExecutor(self.config.parallel) as pool:
            futures = [pool.submit(self.ask, messages, read, **options) for messages in conversations]
            try:
                return [future.result() for future in futures]
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise

    @staticmethod
    def _kept(path: Path) -> str | None:
        try:
            reply = read_json(path).get("reply")
        except SdftError:
            return None
        return reply if isinstance(reply, str) else None

    def path(self, messages: Messages, draw: int = 0) -> Path:
        """Where the reply to a conversation is kept."""
        effort = self.config.reasoning_effort
        key = digest([self.model, messages, *([draw] if draw else []), *([effort] if effort else [])], 40)
        return Path(self.config.cache) / key[:2] / f"{key}.json"

    def reply(self, messages: Messages, pauses: Sequence[float] = ()) -> str:
        """The reply to a conversation, neither taken from the cache nor put there. Raises SdftError as `ask` does.

        pauses: seconds to wait before each further round of attempts where there are too many requests.
        """
        import openai

        try:
            answer = self._create_in_time(messages, pauses)
        except openai.OpenAIError as error:
            raise SdftError(
                f"the {self._who} failed after {self.config.attempts} attempts: {self._reason(error)}. Replies so far "
                f"are kept in {self.config.cache}; mend this and repeat the command."
            ) from None
        except ValueError:
            # The client reads the body as JSON without a net.
            raise self._foreign("the reply is not JSON") from None
        return self._content(answer)

    @property
    def _who(self) -> str:
        return f"{self.role} {self.model} at {self.address or 'its default address'}"

    def _content(self, answer: Any) -> str:
        """The text of an answer; the client hands on whatever a server sends with status 200."""
        if isinstance(answer, str):
            raise self._foreign(f"the reply is {self._short(answer, 80)!r}")
        choices = getattr(answer, "choices", None)
        if choices == []:
            return ""
        try:
            content = choices[0].message.content or ""
        except (AttributeError, LookupError, TypeError):
            content = None
        if not isinstance(content, str):
            raise self._foreign("the reply holds no message")
        return content

    def _foreign(self, what: str) -> SdftError:
        return SdftError(
            f"the {self._who} does not answer as an OpenAI-compatible endpoint does: {what}. Check "
            f"{self.role}.base_url in config.yaml and {self.config.base_url_variable} (most end in /v1). Replies so "
            f"far are kept in {self.config.cache}."
        )

    def _create_in_time(self, messages: Messages, pauses: Sequence[float]) -> Any:
        import openai

        for pause in pauses:
            try:
                return self._create_with_limit(messages)
            except openai.RateLimitError as error:
                if error.code == SPENT:
                    raise
            time.sleep(pause)
        return self._create_with_limit(messages)

    def _create_with_limit(self, messages: Messages) -> Any:
        import openai

        try:
            return self._create(messages)
        except openai.BadRequestError as error:
            # Older servers know the limit by its older name only.
            if self.limit_name == "max_tokens" or "max_completion_tokens" not in str(error):
                raise
            self.limit_name = "max_tokens"
            return self._create(messages)

    def _create(self, messages: Messages) -> Any:
        limit: dict[str, Any] = {self.limit_name: self.config.max_tokens}
        if self.config.reasoning_effort:
            limit["reasoning_effort"] = self.config.reasoning_effort
        return self.client.chat.completions.create(model=self.model, messages=messages, **limit)

    def _short(self, text: str, characters: int) -> str:
        """The beginning of what a server said, on one line; it may have said the key that it was sent."""
        return " ".join(masked(text, self.key).split())[:characters]

    def _reason(self, error: Exception) -> str:
        status, text = getattr(error, "status_code", None), self._short(str(error), 200)
        return f"{REASONS[status]} ({text})" if status in REASONS else text
