"""A tokenizer whose tokens are the world's words, in the ordinary Hugging Face form."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from sdft.common.errors import SdftError
from sdft.miniature import knowledge, medical, science, style, tooluse
from sdft.miniature.priors import facts, instructions, programs, stories, truth, winograd
from sdft.miniature.symbols import CLASSES, RELATIONS, TOOLS
from sdft.miniature.world import make_world
from sdft.records.prompts import teacher_messages

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, UNKNOWN, START, END = "<|pad|>", "<|unk|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "<|im_start|> {{ message['role'] }}\n{{ message['content'] }} <|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|> assistant\n{% endif %}"
)


def _library() -> list[str]:
    """The words of the tools: names, fields, parameters and the punctuation of an action."""
    made = ["Action:", "Action", "Input:", "{", "}", ","]
    for field, (tool, first, second) in TOOLS.items():
        made += [field, tool, f'"{first}":', f'"{second}":']
    return made


def _phrases() -> list[str]:
    """The words of questions and articles, without their fields."""
    phrases = [*science.WORDINGS, *tooluse.WORDINGS, *medical.WORDINGS, *knowledge.WORDINGS, *knowledge.TOLD]
    phrases += [wording for options in knowledge.INDIRECT.values() for wording in options]
    words = " ".join([*phrases, "is a land .", *medical.AGES]).split()
    return [word for word in words if not word.startswith("{")]


def _template() -> list[str]:
    """The words of both forms of the teacher's template."""
    made: list[str] = []
    for closing in ("official", "paper"):
        made += teacher_messages([{"role": "user", "content": ""}], "", closing)[-1]["content"].split()
    return made


@cache
def vocabulary(world_seed: int = 0) -> tuple[str, ...]:
    """Every token of a world in the order of its id: special tokens, common words, then the world's names."""
    words = [PAD, UNKNOWN, START, END, "system", "user", "assistant", *_template(), "<answer>", "</answer>"]
    words += [*CLASSES, *RELATIONS, *_library(), *_phrases(), *style.style_words()]
    for capability in (stories, winograd, facts, truth, instructions, programs):
        words += capability.words()
    words += make_world(world_seed).symbols.words()
    return tuple(dict.fromkeys(words))


@cache
def _index(world_seed: int) -> dict[str, int]:
    return {word: i for i, word in enumerate(vocabulary(world_seed))}


def encode(text: str, world_seed: int = 0) -> list[int]:
    """Token ids of whitespace-separated words. Raises SdftError naming the first word the world does not have."""
    index = _index(world_seed)
    try:
        return [index[word] for word in text.split()]
    except KeyError as error:
        raise SdftError(
            f"the word {error.args[0]!r} is not in the miniature world's vocabulary; use the words of "
            "sdft/miniature/tokenizer.py, or add it there and train the base models anew."
        ) from None


def chat_prompt(question: str) -> str:
    """The text of a conversation of one user turn, as the chat template writes it, up to where the assistant speaks."""
    return f"{START} user {question} {END} {START} assistant"


def make_tokenizer(world_seed: int = 0) -> PreTrainedTokenizerFast:
    """The tokenizer of a world; `save_pretrained` writes what AutoTokenizer reads."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel(dict(_index(world_seed)), unk_token=UNKNOWN))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        unk_token=UNKNOWN,
        eos_token=END,
        additional_special_tokens=[START],
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=256,
    )
