# Everything a fresh machine needs is Python 3.10+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test tools lint bench bench-detection format generate public-api clean soak fuzz test-pythons audit

# Install again when the requirements change.
$(VENV)/.base: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "driftline needs Python 3.10 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	touch $@

$(VENV)/.demo: $(VENV)/.base
	$(BIN)/python -m pip install --quiet -e '.[demo]'
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group test -e .
	touch $@

$(VENV)/.bench: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group bench -e .
	touch $@

demo: $(VENV)/.demo
	$(BIN)/python -m driftline.demo $(ARGS)

# Where Go is present the collector and Prometheus are built (once, cached outside the repository) and tested against.
test: $(VENV)/.test lint
	@if command -v go >/dev/null 2>&1; then tools/build; else echo "no Go here: the tests against the real collector and Prometheus are skipped"; fi
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python model/generate.py --check

tools:
	tools/build

generate: $(VENV)/.test
	$(BIN)/python model/generate.py

# Rewrites the list that tests/api compares the public API with; a change of it needs a line in the changelog.
public-api: $(VENV)/.test
	$(BIN)/python tests/api/public_api.py > tests/api/public_api.txt

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Half an hour at full speed with injected faults. The printed seed repeats the same faults.
MINUTES ?= 30
soak: $(VENV)/.test
	$(BIN)/python -W ignore::DeprecationWarning tests/reliability/soak.py --minutes $(MINUTES) $(ARGS)

# Coverage-guided, SECONDS on each target, starting from the committed corpus.
SECONDS ?= 60
fuzz: $(VENV)/.test
	DRIFTLINE_FUZZ_SECONDS=$(SECONDS) DRIFTLINE_FUZZ_SEED=0 $(BIN)/python -m pytest tests/fuzz $(ARGS)

# The whole suite under every installed Python, each in a separate environment under .venvs/.
test-pythons:
	tools/test-pythons $(ARGS)

# Checks everything that is installed for tests against PyPI's advisory database, which must be reachable.
audit: $(VENV)/.test
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip_audit --skip-editable

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-detection: $(VENV)/.bench
	$(BIN)/python benchmarks/detection/run.py $(ARGS)

clean:
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis
