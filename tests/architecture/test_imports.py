"""What importing costs, and that each stage is complete. The layers are contracts in pyproject.toml."""

import subprocess
import sys

from tests.architecture.sources import ROOT

STAGES = {
    "download", "filter", "dedup", "language", "shard", "tokenizer", "pack", "init", "train", "eval",
}  # fmt: skip

IMPORT_ALL_BUT_THE_COMMAND_LINE = """
import importlib, pkgutil, pretrain
names = [module.name for module in pkgutil.walk_packages(pretrain.__path__, "pretrain.")]
for name in names:
    if not name.startswith("pretrain.cli") and not name.endswith(".__main__"):
        importlib.import_module(name)
"""


def loaded_after(code: str) -> set[str]:
    """The top-level modules loaded after the code, in a process of its own."""
    report = "\nimport sys; print('loaded', *{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_stage_logic_does_not_load_prefect():
    assert "prefect" not in loaded_after(IMPORT_ALL_BUT_THE_COMMAND_LINE)


def test_importing_the_package_does_not_load_torch():
    assert loaded_after("import pretrain") & {"torch", "transformers", "prefect"} == set()


def test_every_stage_has_its_package_its_task_and_its_tests():
    from pretrain.dag import NODES

    names = [node.name for node in NODES]
    assert set(names) >= STAGES
    missing = [
        wanted
        for name in names
        for wanted in (f"src/pretrain/{name}/__init__.py", f"tasks/{name}.py", f"tests/{name}/test_*.py")
        if not list(ROOT.glob(wanted))
    ]
    assert not missing, "in pretrain.dag, but not there:\n" + "\n".join(missing)


def test_no_module_hides_one_of_the_standard_library():
    # a script run beside tasks/tokenize.py would import that instead of Python's own
    scripts = [path for folder in ("flows", "tasks") for path in (ROOT / folder).glob("*.py")]
    offenders = [path.name for path in scripts if path.stem in sys.stdlib_module_names]
    assert not offenders
