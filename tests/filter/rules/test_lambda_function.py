import pickle
import sys

import pytest
from pydantic import ValidationError

from pretrain.errors import InputError, RuleError
from pretrain.external import Surroundings
from pretrain.filehash import FileHashes
from pretrain.filter.rules.lambda_function import LambdaConfig
from pretrain.runner import LocalRunner
from pretrain.store import LocalStore
from tests.data_run import run_data_stages
from tests.filter.judging import Drop, drop_of, judgement_of, metrics_of, rewritten
from tests.tiny import write_recipe

SOURCE = """
from pretrain.filter.verdict import Rewrite

raise_at_plan = sys.exit if "sys" in globals() else None

def too_shouty(text, max_ratio=0.5):
    ratio = sum(map(str.isupper, text)) / max(len(text), 1)
    return ("too_shouty" if ratio > max_ratio else None, ratio, max_ratio)

def Is_Spam(text):
    return "spam" in text

def by_host(text, document):
    if document.url is None:
        return None
    return "bad_host" if "bad" in document.url or document.metadata.get("bad") else False

def without_numbers(text):
    digits = sum(map(str.isdigit, text))
    return Rewrite("".join(c for c in text if not c.isdigit()), "digits_removed", digits)

def fails(text):
    return 1 / len(text)

def returns(text, result):
    return Rewrite(chr(0xD800), "broken") if result == "surrogate" else result

def value_alone(text):
    return ("long", len(text))
"""
count = iter(range(1000))


@pytest.fixture
def rules(tmp_path, monkeypatch):
    """The configs of functions in a module of its own, and the files as the stage hands them over."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    name = f"team_rules_{next(count)}"
    path = tmp_path / f"{name}.py"
    path.write_text(SOURCE)
    return lambda function, **options: (
        LambdaConfig(function=f"{name}:{function}", options=options),
        {"function": path},
    )


def judge(rule, text, **fields):
    config, files = rule
    return drop_of(config, text, files, **fields)


def test_a_reason_with_its_numbers(rules):
    assert judge(rules("too_shouty"), "ABc") == Drop("too_shouty", 2 / 3, 0.5)
    assert judge(rules("too_shouty"), "Ab") is None
    assert judge(rules("too_shouty", max_ratio=0.2), "Ab") == Drop("too_shouty", 0.5, 0.2)
    assert judge(rules("value_alone"), "abc") == Drop("long", 3)


def test_true_drops_under_the_name_of_the_function(rules):
    assert judge(rules("Is_Spam"), "spam!") == Drop("is_spam")
    assert judge(rules("Is_Spam"), "eggs") is None


def test_a_function_may_read_the_document(rules):
    assert judge(rules("by_host"), "text") is None
    assert judge(rules("by_host"), "text", url="https://good.example") is None
    assert judge(rules("by_host"), "text", url="https://bad.example") == Drop("bad_host")
    assert judge(rules("by_host"), "text", url="https://good.example", metadata='{"bad": 1}') == Drop("bad_host")


def test_a_rewrite(rules):
    assert rewritten(*_with_text(rules("without_numbers"), "a1b22")) == ("ab", {"digits_removed": 3})
    assert rewritten(*_with_text(rules("without_numbers"), "ab")) == ("ab", {})


def _with_text(rule, text):
    config, files = rule
    return config, text, files


def test_the_value_is_a_metric_also_of_what_stays(rules):
    config, files = rules("too_shouty")
    assert metrics_of(config, "Ab", files) == {"value": 0.5}
    assert judgement_of(config, "Ab", files).failed == ()


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (3, "returned 3, which is none of None, True, False, a reason"),
        ([], r"returned \[\]"),
        (["a", "b"], r"returned \['a', 'b'\]"),
        ("Not Snake", "gave the reason 'Not Snake', which is no snake_case name"),
        ("", "gave the reason ''"),
        ("surrogate", "returned a text that is not Unicode"),
    ],
)
def test_another_result_is_an_error(rules, result, message):
    with pytest.raises(RuleError, match=message):
        judge(rules("returns", result=result), "text")


def test_an_exception_names_the_function_the_document_and_the_line(rules):
    config, files = rules("fails")
    path = files["function"]
    line = SOURCE[: SOURCE.index("return 1 / len")].count("\n") + 1
    with pytest.raises(RuleError) as caught:
        drop_of(config, "", files)
    assert str(caught.value) == (
        f"the function '{path.stem}:fails' raised ZeroDivisionError: division by zero ({path.name}:{line}) "
        f"on document {'0' * 32}; correct the function"
    )
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            "too_shouty",
            {"max_ration": 1},
            "cannot be called with the text and the options max_ration: got an unexpected",
        ),
        ("returns", {}, r"options \(none\): missing a required argument: 'result'"),
        ("Is_Spam", {"a": 1}, "unexpected keyword argument"),
        ("raise_at_plan", {}, "raise_at_plan is None, which is no function"),
    ],
)
def test_options_have_to_fit(rules, function, options, message):
    with pytest.raises(InputError, match=message):
        judge(rules(function, **options), "text")


@pytest.fixture
def around(tmp_path):
    return Surroundings(tmp_path, LocalStore(tmp_path / "store"), FileHashes())


def test_the_file_is_found_without_running_it_and_counts_by_its_content(around, tmp_path):
    package = tmp_path / "team" / "rules"
    package.mkdir(parents=True)
    for file in [tmp_path / "team" / "__init__.py", package / "__init__.py"]:
        file.write_text("raise SystemExit('imported')")
    (package / "shout.py").write_text("raise SystemExit('imported')\ndef f(text): pass\n")
    config = LambdaConfig(function="team.rules.shout:f")
    [file] = config.external("rule:0:lambda", around).files
    before = config.external("rule:0:lambda", around).fingerprint
    assert file.location == str(package / "shout.py")
    assert "team" not in sys.modules
    (package / "shout.py").write_text("def f(text): return True\n")
    assert config.external("rule:0:lambda", around).fingerprint != before


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("absent_module:f", "there is no module absent_module in .*; correct the name, put the file beside the recipe"),
        ("json.absent:f", "there is no module json.absent"),
        ("present:g", r"present.py has no g; it has f"),
        ("broken:f", r"cannot read .*broken.py for 'broken:f': .*line 1"),
        ("sys:exit", "sys is no Python file"),
    ],
)
def test_a_wrong_path_is_an_error_of_the_plan(around, tmp_path, function, message):
    (tmp_path / "present.py").write_text("def f(text): pass\n")
    (tmp_path / "broken.py").write_text("def f(text)\n")
    with pytest.raises(InputError, match=message):
        LambdaConfig(function=function).external("rule:0:lambda", around)


@pytest.mark.parametrize("function", ["module", "module:", ":f", "a b:f", "module:f()", "../module:f"])
def test_a_path_that_is_none_is_refused_with_the_recipe(function):
    with pytest.raises(ValidationError, match="String should match pattern"):
        LambdaConfig(function=function)


def test_workers_import_it_from_the_folder_of_the_recipe(tmp_path):
    path = tmp_path / "beside_the_recipe.py"
    path.write_text("def f(text, document): return document.metadata['id'].endswith('7')\n")
    rule = {"rule": "lambda", "function": "beside_the_recipe:f"}
    recipe = write_recipe(tmp_path, filter={"rules": [rule]}, download={"max_bad_fraction": 1})
    with LocalRunner(1) as runner:
        run = run_data_stages(recipe, tmp_path / "store", until="filter", runner=runner)
        assert run.artifacts["filter"].manifest.stats["dropped_by_reason"] == {
            "f": 26
        }  # of 240 documents and 24 copies
        path.write_text("def f(text): return 1 / 0\n")
        with pytest.raises(
            RuleError, match=r"'beside_the_recipe:f' raised ZeroDivisionError: .* document [0-9a-f]{32}"
        ):
            run_data_stages(recipe, tmp_path / "store", until="filter", runner=runner)


def test_a_module_that_cannot_be_imported_or_changes_between_two_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    path = tmp_path / "changing_rules.py"
    config = LambdaConfig(function="changing_rules:f")
    path.write_text("def f(text): return 'first'\n")
    assert drop_of(config, "text", {"function": path}) == Drop("first")
    path.write_text("def f(text): return 'second_time'\n")
    assert drop_of(config, "text", {"function": path}) == Drop("second_time")
    path.write_text("import absent_module\ndef f(text): return 'third'\n")
    with pytest.raises(InputError, match=r"cannot import .*changing_rules.py .*: ModuleNotFoundError: No module named"):
        drop_of(config, "text", {"function": path})
