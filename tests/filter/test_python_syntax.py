import sys
import threading
from bisect import bisect

import pytest

from pretrain.filter.python_syntax import syntax_error_in


@pytest.mark.parametrize(
    "text",
    ["", "x = 1", "\ufeffx = 1\r\n", "def f():\n\treturn '\\d'\n", "match x:\n    case [a, *_]: pass", "x = '\x0c'"],
)
def test_python(text):
    assert syntax_error_in(text) is None


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        ("print 'a'", "line 1: Missing parentheses in call to 'print'"),
        ("x = 1\nif x\n", "line 2: expected ':'"),
        ("plain prose, no code", "line 1: invalid syntax"),
        ("x = 1\0", ""),
        ("x = " + "1" * 5000, "line 1: Exceeds the limit"),  # the parser of the language, not ours
    ],
)
def test_what_is_no_python_says_why(text, beginning):
    assert syntax_error_in(text).startswith(beginning)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "-" * 100_000 + "1", "1" + "+1" * 49_000, "a" + ".b" * 50_000, "lambda: " * 10_000, "{" * 60],
)
def test_hostile_nesting_ends_with_an_answer(text):
    assert syntax_error_in(text) is not None


def test_the_answer_does_not_depend_on_how_deep_the_caller_is():
    too_deep = bisect(range(20_000), False, key=lambda num_terms: syntax_error_in("1" + "+1" * num_terms) is not None)

    def at_depth(depth, num_terms):
        return at_depth(depth - 1, num_terms) if depth else syntax_error_in("1" + "+1" * num_terms)

    depth = sys.getrecursionlimit() // 2
    assert at_depth(depth, too_deep - 1) is None
    assert at_depth(depth, too_deep) == "nested too deeply"


def test_the_stack_size_of_other_threads_is_left_as_it_was():
    before = threading.stack_size()
    syntax_error_in("x = 1")
    assert threading.stack_size() == before
