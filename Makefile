# Everything a fresh machine needs is Python 3.10+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo test tools lint bench bench-detection format generate clean

# The environment is made anew when what the project asks for changes.
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
	$(BIN)/lint-imports
	$(BIN)/python model/generate.py --check

tools:
	tools/build

generate: $(VENV)/.test
	$(BIN)/python model/generate.py

format: $(VENV)/.test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py $(ARGS)

bench-detection: $(VENV)/.bench
	$(BIN)/python benchmarks/detection/run.py $(ARGS)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
