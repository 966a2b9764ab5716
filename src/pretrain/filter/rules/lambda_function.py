"""`lambda`: a rule that is a function of the user's own, in a module beside the recipe or in an installed package.

    # my_rules.py, beside recipe.yaml
    def too_shouty(text, max_ratio):
        ratio = sum(map(str.isupper, text)) / max(len(text), 1)
        return ("too_shouty" if ratio > max_ratio else None, ratio, max_ratio)

    # recipe.yaml
    filter: {rules: [{rule: lambda, function: "my_rules:too_shouty", options: {max_ratio: 0.3}}]}

It is called with the text, with `options` by keyword, and with `document` if it has a parameter of that name: a
`DocumentFields` with the id, source, url, lang and metadata. What it returns decides:

| it returns | the document |
|---|---|
| None or False | stays |
| True | goes, with the function's name as the reason |
| `"reason"` | goes for that reason |
| `("reason", value, threshold)`, or without threshold | goes, with these numbers in the ledger |
| `(None, value, threshold)`, or without threshold | stays; the value is for the table of metrics |
| `Rewrite(text, "reason", count)` of `pretrain.filter.verdict` | stays, with that text |

A reason is in snake_case. An exception, or another result, ends the run with an error that names the function and the
document. The function has to give the same answer to the same document: no chance, no clock, no count of calls.

The file that holds the function counts by its content, so that a change runs the filter again; modules that it
imports do not. It is found when the recipe is planned, without being imported.
"""

import inspect
import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field, JsonValue

from pretrain.errors import InputError, RuleError
from pretrain.external import ExternalInput, Surroundings, external_file
from pretrain.filter.functions import find_source, load_function
from pretrain.filter.rule_config import RuleConfig
from pretrain.filter.textview import TextView
from pretrain.filter.verdict import Check, Rewrite

_REASON = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DOCUMENT = "document"


class DocumentFields(NamedTuple):
    """What a function may know of a document beside its text; metadata are the other fields of the input."""

    id: str
    source: str
    url: str | None
    lang: str | None
    metadata: dict[str, Any]


class LambdaConfig(RuleConfig):
    """Which function, and what it is called with."""

    rule: Literal["lambda"] = "lambda"
    function: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", description="package.module:function")
    options: dict[str, JsonValue] = Field(default={}, description="Passed by keyword")

    def external(self, name: str, around: Surroundings) -> ExternalInput | None:
        """The file that holds the function."""
        path = find_source(self.function, around.recipe_folder)
        return ExternalInput(name, (external_file(path, "function", around.hashes),))

    def make_rule(self, files: Mapping[str, Path]) -> "Lambda":
        """The rule that calls the function; imports it."""
        return Lambda(self, files["function"])


class Lambda:
    """Calls a function on every document.

    Raises:
        InputError: the function cannot be imported, or does not take the options.
    """

    metrics = ("value",)

    def __init__(self, config: LambdaConfig, path: Path) -> None:
        self.config = config
        self._function = load_function(config.function, path)
        parameters = inspect.signature(self._function).parameters
        self._takes_document = _DOCUMENT in parameters and _DOCUMENT not in config.options
        example = {_DOCUMENT: None} if self._takes_document else {}
        try:
            inspect.signature(self._function).bind("", **example, **config.options)
        except TypeError as error:
            raise InputError(
                f"function {config.function!r} cannot be called with the text and the options "
                f"{', '.join(config.options) or '(none)'}: {error}; correct options"
            ) from error

    def checks(self, view: TextView) -> Iterator[Check | Rewrite]:
        """One outcome, or none where there is nothing to tell."""
        document: dict[str, Any] = {_DOCUMENT: _fields(view)} if self._takes_document else {}
        try:
            result = self._function(view.text, **document, **self.config.options)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise self._error(
                view, f"raised {type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
            ) from error
        outcome = self._outcome(view, result)
        if outcome is not None:
            yield outcome

    def _outcome(self, view: TextView, result: Any) -> Check | Rewrite | None:
        match result:
            case None | False:
                return None
            case True:
                return self._drop(view, self.config.function.partition(":")[2].lower())
            case Rewrite(text=str(text), reason=str(reason), value=None | int() | float()) if _REASON.fullmatch(reason):
                return self._rewrite(view, result) if text != view.text else None
            case str(reason):
                return self._drop(view, reason)
            case (None, (int() | float()) as value) | (None, (int() | float()) as value, None | int() | float()):
                return Check("value", float(value), False, "kept")
            case (str(reason), (int() | float()) as value):
                return self._drop(view, reason, float(value))
            case (str(reason), (int() | float()) as value, (None | int() | float()) as threshold):
                return self._drop(view, reason, float(value), None if threshold is None else float(threshold))
        raise self._error(
            view, f"returned {result!r:.200}, which is none of None, True, False, a reason, (reason, value, threshold) "
            "and Rewrite(text, reason, count)"
        )  # fmt: skip

    def _drop(self, view: TextView, reason: str, value: float | None = None, threshold: float | None = None) -> Check:
        if not _REASON.fullmatch(reason):
            raise self._error(view, f"gave the reason {reason[:200]!r}, which is no snake_case name of 64 characters")
        return Check("value", value, True, reason, threshold)

    def _rewrite(self, view: TextView, rewrite: Rewrite) -> Rewrite:
        try:
            rewrite.text.encode()
        except UnicodeEncodeError as error:
            raise self._error(view, f"returned a text that is not Unicode ({error})") from error
        return rewrite

    def _error(self, view: TextView, what: str) -> RuleError:
        document = view.document.id if view.document is not None else "(none)"
        return RuleError(f"the function {self.config.function!r} {what} on document {document}; correct the function")


def _fields(view: TextView) -> DocumentFields:
    document = view.document
    if document is None:
        return DocumentFields("", "", None, None, {})
    return DocumentFields(document.id, document.source, document.url, document.lang, view.metadata)
