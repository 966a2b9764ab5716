import subprocess
import sys

import pytest
from pydantic import ValidationError

from pretrain.filter.config import FilterConfig
from pretrain.filter.rules.course import CourseConfig
from pretrain.filter.rules.gopher_quality import GopherQualityConfig


def test_a_rule_is_chosen_by_its_name():
    config = FilterConfig.model_validate({"rules": [{"rule": "course"}, {"rule": "gopher_quality", "min_words": 20}]})
    assert config.rules == (CourseConfig(), GopherQualityConfig(min_words=20))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([], "at least 1 item"),
        ([{"rule": "gopher"}], "'course', .*'gopher_quality'"),
        ([{"min_words": 3}], "Unable to extract tag using discriminator 'rule'"),
        ([{"rule": "course", "min_words": 3}], "min_words\n  Extra inputs are not permitted"),
        ([{"rule": "gopher_quality", "min_words": -1}], "greater than or equal to 0"),
        ([{"rule": "gopher_quality", "words": "nltk"}], "'regex', 'spacy' or 'whitespace'"),
    ],
)
def test_a_wrong_rule_says_what_is_allowed(rules, message):
    with pytest.raises(ValidationError, match=message):
        FilterConfig.model_validate({"rules": rules})


def test_every_threshold_takes_part_in_the_identity():
    identity = FilterConfig(rules=(CourseConfig(), GopherQualityConfig())).identity()
    assert identity["rules"][0] == {
        "rule": "course",
        "min_long_lines": 3,
        "min_line_chars": 3,
        "max_repeated_paragraph_ratio": 0.3,
        "max_repeated_char_ratio": 0.2,
    }
    assert identity["rules"][1]["stop_words"] == ["the", "be", "to", "of", "and", "that", "have", "with"]


def test_planning_loads_no_numeric_library():
    code = (
        "import sys, pretrain.filter.config\nprint(sorted({'numpy', 'pyarrow', 'torch', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
