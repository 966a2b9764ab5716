from pathlib import Path
from tempfile import TemporaryDirectory

import fasttext
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pretrain.documents import Document, LedgerRow, document_id, read_documents, read_ledger
from pretrain.errors import InputError
from pretrain.external import Surroundings
from pretrain.fasttext_model import Prediction, load_model
from pretrain.filehash import FileHashes
from pretrain.language.config import LanguageConfig
from pretrain.language.identification import Judge
from pretrain.language.inputs import external_inputs, find_lid176
from pretrain.language.stage import build
from pretrain.runner import InlineRunner, LocalRunner
from pretrain.stage import StageContext
from pretrain.store import LocalStore
from tests.document_artifact import make_document_artifact

ENGLISH = "The committee will publish its final report\nat the end of the month."
GERMAN = "Der Ausschuss wird seinen Abschlussbericht\nam Ende des Monats veröffentlichen."
FRENCH = "Le comité publiera son rapport final à la fin du mois prochain."


def documents(*texts):
    return [Document(document_id("s", "f", i), text, "s", lang="xx") for i, text in enumerate(texts)]


def run(folder, parts, config, runner=None):
    """The stats, the documents kept and the ledger of one build, and the bytes of every file by key."""
    store = LocalStore(folder)
    config = LanguageConfig.model_validate(config)
    [model] = external_inputs(config, Surroundings(folder, store, FileHashes()))
    context = StageContext(
        stage="language",
        config=config,
        seed=0,
        inputs={"documents": make_document_artifact(store, "dedup", parts)},
        external={model.name: model},
        store=store,
        artifact_key="language/x",
        runner=runner or InlineRunner(),
        progress=lambda done, total, text: None,
    )
    stats = build(context)
    keys = sorted(store.list_sizes("language/x"))
    kept = [row for key in keys if "/data/" in key for row in read_documents(store.local_file(key))]
    ledger = [row for key in keys if "/ledger/" in key for row in read_ledger(store.local_file(key))]
    return stats, kept, ledger, {key: store.read_bytes(key) for key in keys}


def test_documents_and_ledger(tmp_path):
    english, german, french, empty = documents(ENGLISH, GERMAN, FRENCH, "")
    stats, kept, ledger, _ = run(tmp_path, [[english, german], [french, empty]], {"keep": {"en": 0.65, "fr": 0.5}})
    assert kept == [english._replace(lang="en"), french._replace(lang="fr")]
    assert [row._replace(value=round(row.value, 2)) for row in ledger] == [
        LedgerRow(german.id, "s", "language", "language_not_kept", 1.0, None, "de"),
        LedgerRow(empty.id, "s", "language", "language_unknown", 0.0, 5.0, "unknown"),
    ]
    assert stats == {
        "documents_in": 4,
        "documents_out": 2,
        "documents_dropped": 2,
        "documents_changed": 0,
        "bytes_in": len(ENGLISH) + len(GERMAN.encode()) + len(FRENCH.encode()),
        "bytes_out": len(ENGLISH) + len(FRENCH.encode()),
        "dropped_by_reason": {"language_not_kept": 1, "language_unknown": 1},
        "changed_by_reason": {},
        "documents_by_language": {"de": 1, "en": 1, "fr": 1, "unknown": 1},
        "languages_by_source": {"s": {"de": 1, "en": 1, "fr": 1, "unknown": 1}},
        "documents_by_source": {"s": 2},
        "dropped_by_source": {"s": {"language_not_kept": 1, "language_unknown": 1}},
    }


@pytest.mark.parametrize(
    ("found", "reason", "threshold"),
    [
        (Prediction("en", 0.65), None, None),
        (Prediction("en", 0.6499), "language_score_too_low", 0.65),
        (Prediction("de", 0.99), "language_not_kept", None),
        (Prediction("fr", 0.0), None, None),
    ],
)
def test_a_document_stays_from_the_lowest_score_of_its_language(found, reason, threshold):
    judge = Judge(load_model(find_lid176(), "language.model"), LanguageConfig(keep={"en": 0.65, "fr": 0.0}))
    judgement = judge.judge("text", found)
    assert judgement.text == (None if reason else "text")
    assert (judgement.reason, judgement.value, judgement.evidence) == (reason, found.score, found.label)
    assert not reason or judgement.threshold == threshold


def test_the_course_s_setting_joins_lines(tmp_path):
    course = {"keep": {"en": 0.4}, "newline": "remove", "max_chars": None, "min_letters": 0}
    lines = documents("She\nsells\nsea\nshells\nby\nthe\nshore", "She sells sea shells by the shore")
    _, kept, ledger, _ = run(tmp_path / "remove", [lines], course)
    assert [document.id for document in kept] == [lines[1].id]
    assert [(row.id, row.evidence) for row in ledger] == [(lines[0].id, "lt")]
    _, kept, _, _ = run(tmp_path / "space", [lines], {**course, "newline": "space"})
    assert len(kept) == 2


def test_only_the_start_of_a_text_counts(tmp_path):
    texts = documents(ENGLISH + "\n" + GERMAN * 50)
    _, kept, _, _ = run(tmp_path, [texts], {"keep": {"en": 0.65}, "max_chars": len(ENGLISH)})
    assert [document.id for document in kept] == [texts[0].id]


def test_a_language_that_another_model_does_not_know_is_refused(tmp_path):
    config = {"keep": {"eng_Latn": 0.5}, "model": {"path": str(find_lid176())}}
    with pytest.raises(InputError, match=r"keep names eng_Latn, .* its 176 labels \(af, als, am, "):
        run(tmp_path, [documents(ENGLISH)], config)


def test_workers_do_not_change_a_byte(tmp_path):
    parts = [documents(ENGLISH, GERMAN), documents(FRENCH), documents(ENGLISH * 2, "")]
    config = {"keep": {"en": 0.65}}
    inline = run(tmp_path / "inline", parts, config)
    with LocalRunner(num_workers=2) as runner:
        assert run(tmp_path / "pool", parts, config, runner) == inline


def test_a_model_with_labels_of_language_and_script(tmp_path):
    lines = ["__label__eng_Latn the river and the stone", "__label__cmn_Hani 河 与 石 在 山"] * 20
    (tmp_path / "train.txt").write_text("\n".join(lines))
    options = {"minCount": 1, "dim": 4, "epoch": 20, "thread": 1, "verbose": 0}
    trained = fasttext.train_supervised(input=str(tmp_path / "train.txt"), lr=1.0, **options)
    trained.save_model(str(tmp_path / "own.bin"))
    texts = documents("the river and the stone", "河 与 石 在 山")
    config = {"keep": {"zho": 0.5}, "model": {"path": str(tmp_path / "own.bin")}, "min_letters": 1}
    stats, kept, ledger, _ = run(tmp_path / "store", [texts], config)
    assert [(document.id, document.lang) for document in kept] == [(texts[1].id, "zh")]
    assert [(row.reason, row.evidence) for row in ledger] == [("language_not_kept", "eng_Latn")]
    assert stats["languages_by_source"] == {"s": {"en": 1, "zh": 1}}


PIECES = st.sampled_from([ENGLISH, GERMAN, FRENCH]) | st.text(max_size=30)
TEXTS = st.lists(PIECES, max_size=3).map("\n\n".join)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(TEXTS, max_size=5), max_size=3), st.sampled_from([0.0, 0.3, 1.0]), st.booleans())
def test_every_document_is_kept_or_in_the_ledger(parts, minimum, per_paragraph):
    docs = [
        [Document(document_id("s", str(p), i), text, "s") for i, text in enumerate(part)]
        for p, part in enumerate(parts)
    ]
    with TemporaryDirectory() as folder:
        stats, kept, ledger, _ = run(
            Path(folder), docs, {"keep": {"en": minimum, "de": minimum}, "per_paragraph": per_paragraph}
        )
    every = [document for part in docs for document in part]
    changed = {row.id for row in ledger if row.reason == "language_paragraphs_removed"}
    dropped = {row.id for row in ledger} - changed
    assert [document.id for document in kept] == [document.id for document in every if document.id not in dropped]
    assert len(kept) + len(ledger) - len(changed) == len(every) == stats["documents_in"]
    assert sum(stats["documents_by_language"].values()) == len(every)
    assert sum(stats["dropped_by_reason"].values()) == len(dropped) == stats["documents_dropped"]
    assert stats["documents_changed"] == len(changed)
