"""The reasons of the filter rules in datatrove's words."""

REASONS = {
    "gopher_repetition": {
        "empty": "empty",
        "paragraph_repetition": "dup_para_frac",
        "paragraph_char_repetition": "dup_para_char_frac",
        "line_repetition": "dup_line_frac",
        "line_char_repetition": "dup_line_char_frac",
        **{f"top_{n}_gram": f"top_{n}_gram" for n in (2, 3, 4)},
        **{f"duplicate_{n}_gram": f"duplicated_{n}_n_grams" for n in (5, 6, 7, 8, 9, 10)},
    },
    "gopher_quality": {
        "too_few_words": "gopher_short_doc",
        "too_many_words": "gopher_long_doc",
        "mean_word_too_short": "gopher_below_avg_threshold",
        "mean_word_too_long": "gopher_above_avg_threshold",
        "too_many_hashes": "gopher_too_many_hashes",
        "too_many_ellipses": "gopher_too_many_ellipsis",
        "too_many_bullet_lines": "gopher_too_many_bullets",
        "too_many_ellipsis_lines": "gopher_too_many_end_ellipsis",
        "too_few_alphabetic_words": "gopher_below_alpha_threshold",
        "too_few_stop_words": "gopher_enough_stop_words",
    },
    "fineweb": {
        "empty": "empty",
        "too_few_ended_lines": "line_punct_ratio",
        "too_many_short_lines": "short_line_ratio",
        "line_char_repetition": "char_dup_ratio",
        "too_many_newlines": "list_ratio",
    },
    "c4": {
        "lorem_ipsum": "lorem_ipsum",
        "curly_bracket": "curly_bracket",
        "too_few_sentences": "too_few_sentences",
    },
}
