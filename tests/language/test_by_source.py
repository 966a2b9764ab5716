from pretrain.language.by_source import language_rows


def test_languages_by_source_as_a_table_most_documents_first():
    stats = {"languages_by_source": {"books": {"de": 1, "en": 5}, "web": {"de": 1, "fr": 2, "unknown": 2}}}
    assert language_rows(stats) == [
        {"language": "en", "books": 5, "web": 0, "all": 5},
        {"language": "de", "books": 1, "web": 1, "all": 2},
        {"language": "fr", "books": 0, "web": 2, "all": 2},
        {"language": "unknown", "books": 0, "web": 2, "all": 2},
    ]
    assert language_rows({"documents_in": 3}) == []
