"""The tree that `pretrain show --lineage` prints: artifacts, and under them the outside files they were made of."""

from typing import TYPE_CHECKING

from rich.markup import escape
from rich.tree import Tree

from pretrain.cli.common import shown_bytes, shown_number

if TYPE_CHECKING:
    from pretrain.lineage import Ancestor, OutsideInput, SourceFile

_MAX_FILES = 20
_SHOWN_IDENTITY_CHARS = len("sha256:") + 16  # with the tree's indent, all 64 digits would not fit a line


def lineage_tree(ancestor: "Ancestor") -> Tree:
    """The tree for people; an artifact that stands in it twice is expanded once."""
    from pretrain.lineage import OutsideInput

    tree = Tree(_label(ancestor))
    for entry in ancestor.inputs or ():
        tree.add(_outside(entry) if isinstance(entry, OutsideInput) else lineage_tree(entry))
    return tree


def _label(ancestor: "Ancestor") -> str:
    name = f"[bold]{escape(ancestor.key)}[/]"
    if not ancestor.is_in_store:
        return f"{name} (no longer in the store)"
    if ancestor.inputs is None:
        return f"{name} (shown above)"
    known = [ancestor.created, ancestor.git_commit and f"commit {ancestor.git_commit[:12]}"]
    known += [ancestor.run_id and f"run {ancestor.run_id}"]
    counts = [f"{name} {shown_number(value)}" for name, value in ancestor.counts.items()]
    lines = [name, ", ".join(escape(text) for text in known if text), ", ".join(counts)]
    return "\n".join(line for line in lines if line)


def _outside(outside: "OutsideInput") -> Tree:
    name = f"[bold]{escape(outside.name)}[/] {outside.fingerprint}"
    if outside.files is None:
        return Tree(f"{name} (its files were not listed)")
    size = shown_bytes(sum(file.bytes for file in outside.files))
    tree = Tree(f"{name}\n{len(outside.files):,} file{'' if len(outside.files) == 1 else 's'}, {size}")
    for file in outside.files[:_MAX_FILES]:
        tree.add(_file(file))
    if len(outside.files) > _MAX_FILES:
        tree.add(f"… and {len(outside.files) - _MAX_FILES:,} more (--json has all)")
    return tree


def _file(file: "SourceFile") -> str:
    identity = file.identity
    shown = identity if len(identity) <= _SHOWN_IDENTITY_CHARS else f"{identity[:_SHOWN_IDENTITY_CHARS]}…"
    return f"{escape(file.name)}  {shown_bytes(file.bytes) if file.bytes else ''}  {escape(shown)}"
