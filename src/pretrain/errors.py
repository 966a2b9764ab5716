"""The errors that `pretrain` raises, and the exit code that each one ends a command with.

    PretrainError
    ├── UsageError            exit 2: the recipe, an option or an input is wrong
    │   ├── RecipeError       a key, type or value of the recipe
    │   ├── InputError        a source, model or tokenizer that was named but cannot be used
    │   └── NotInStoreError   an artifact, run or document that was asked for is not there
    └── StageError            exit 1: a stage could not finish; the same command resumes
        ├── StoreError            the store failed
        │   ├── StorePermissionError   it refused the credentials or the permission
        │   ├── StoreFullError         no space is left
        │   └── StoreVersionError      it was written by a newer version of pretrain
        ├── DamagedArtifactError  bytes differ from what the manifest says
        ├── TransientInputError   a remote source stumbled
        ├── BadInputFractionError more records of a source are unreadable than the recipe allows
        ├── RuleError             a filter rule of the user's own could not judge a document
        ├── WorkerDiedError       a worker process ended without an answer
        └── SubprocessError       a training or evaluation process failed

A message says what was wrong, the value seen, and what to do next. Every class takes that message alone,
so that an error crosses a process boundary (pickle) unchanged.
"""


class PretrainError(Exception):
    """Root of every error that this package raises on purpose.

    `stage` names the stage that was being obtained, once the pipeline knows it.
    """

    exit_code = 1
    stage: str | None = None


class UsageError(PretrainError):
    """What the user asked for cannot be done as asked; running again changes nothing."""

    exit_code = 2


class RecipeError(UsageError):
    """A key, type or value of the recipe is wrong."""


class InputError(UsageError):
    """A file, dataset, model or tokenizer named by the user cannot be used."""


class NotInStoreError(UsageError):
    """The artifact, run or document asked for is not in the store."""


class StageError(PretrainError):
    """A stage could not finish; what it completed is kept and the same command resumes."""


class StoreError(StageError):
    """The store failed while it was read or written."""


class StorePermissionError(StoreError):
    """The store refused the credentials or the permission; a retry cannot help."""


class StoreFullError(StoreError):
    """No space is left where the store lives; a retry cannot help before space is made."""


class StoreVersionError(StoreError):
    """The store holds a manifest of a newer schema than this version reads."""


class DamagedArtifactError(StageError):
    """Bytes in the store differ from what the manifest says."""


class TransientInputError(StageError):
    """A remote source stumbled while it was read; a retry may find it well."""


class BadInputFractionError(StageError):
    """More records of one source are unreadable than `download.max_bad_fraction` allows."""


class RuleError(StageError):
    """A filter rule with a pattern or function of the user's could not judge a document."""


class WorkerDiedError(StageError):
    """A worker process ended without an answer (killed, out of memory)."""


class SubprocessError(StageError):
    """A training or evaluation process ended with an error."""
