# Everything a fresh machine needs is Python 3.10+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: demo demo-incident test test-slow test-without-posix test-unit test-system test-wheel coverage tools tools-if-go lint format generate public-api
.PHONY: dist docs notebook notebooks bench bench-files bench-detection soak fuzz test-pythons test-integrations audit clean

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

$(VENV)/.notebooks: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group notebooks -e .
	touch $@

$(VENV)/.bench: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group bench -e .
	touch $@

$(VENV)/.docs: $(VENV)/.base
	$(BIN)/python -m pip install --quiet --group docs -e .
	touch $@

# The documentation site in docs/_build/html. It can be read from there, without a server. Warnings are errors.
docs: $(VENV)/.docs notebooks
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

demo: $(VENV)/.demo
	$(BIN)/python -m driftline.demo $(ARGS)

# Broken data, then a real change: the requests, a real retraining, and the new reference. ARGS=--hasty trains too early.
demo-incident: $(VENV)/.demo
	$(BIN)/python -m driftline.demo.incident $(ARGS)

# Opens a notebook of docs/notebooks in JupyterLab, executed: `make notebook NOTEBOOK=first-hour`. JupyterLab shows the
# pictures of driftline in a file that it did not write only if the file is trusted.
NOTEBOOK ?= lesson
notebook: $(VENV)/.notebooks
	$(BIN)/python tools/notebooks.py $(NOTEBOOK)
	$(BIN)/jupyter-trust docs/notebooks/$(NOTEBOOK).ipynb
	$(BIN)/python -m jupyterlab --ServerApp.root_dir=. docs/notebooks/$(NOTEBOOK).ipynb $(ARGS)

# Executes all notebooks, without a browser. Those that are up to date are skipped.
notebooks: $(VENV)/.notebooks
	$(BIN)/python tools/notebooks.py $(ARGS)

# What is not slow. With ARGS, what pytest selects: `make test ARGS='tests/canary -k verdict'`.
ifdef ARGS
test: $(VENV)/.test lint tools-if-go
	$(BIN)/python -m pytest $(ARGS)
else
test: lint test-unit test-system test-wheel
endif

# The rest: simulations, long runs, and what is tried in many ways.
test-slow:
	$(MAKE) test-unit test-system SPEED=slow

# Unit tests and doctests.
WORKERS ?= 2
SPEED ?= not slow
test-unit: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not system and $(SPEED)' $(ARGS)

# Servers and processes, which mostly wait: two files at a time. What measures runs one test at a time after them.
test-system: $(VENV)/.test tools-if-go
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m 'system and not alone and $(SPEED)' $(ARGS)
	$(BIN)/python -m pytest -m 'alone and $(SPEED)' $(ARGS)

# The unit tests without what Windows lacks: fork, most signals, `resource` and the like.
test-without-posix: $(VENV)/.test
	PYTHONPATH=tests/without_posix $(MAKE) test-unit

# The lines and branches that the unit tests reach, slow ones too. The floor is in pyproject.toml.
coverage: $(VENV)/.test
	$(BIN)/python -m pytest -q -n $(WORKERS) -m 'not system' --cov --cov-report=term:skip-covered $(ARGS)

# Part of the suite against the built wheel, outside the repository.
test-wheel: $(VENV)/.test
	tools/test-wheel $(BIN)/python

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/python model/generate.py --check
	$(BIN)/python -m pytest -q -m 'not system' tests/release
	$(BIN)/zizmor --offline --persona pedantic --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format --default-filetype yaml CITATION.cff
	@if command -v go >/dev/null 2>&1; then tools/actionlint/run; else echo "no Go here: actionlint is skipped"; fi

# The sdist and the wheel, as a release has them, checked as PyPI does.
dist: $(VENV)/.test
	rm -rf dist
	$(BIN)/python -m pip install --quiet build 'twine>=6'
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

tools:
	tools/build

# If Go is present, the servers that tests run against are built once, outside the repository.
tools-if-go:
	@if command -v go >/dev/null 2>&1; then tools/build; else echo "no Go here: the tests against real servers are skipped"; fi

generate: $(VENV)/.test
	$(BIN)/python model/generate.py
	$(BIN)/python collector-config/write.py
	$(BIN)/python tests/backends/backends_page.py > docs/backends.md

# Rewrite the list that tests/api compares the public API with. A change of the list needs a line in the changelog.
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

# The tests that need MLflow, Celery, BentoML, Ray Serve and other libraries, in separate environments under .venvs/.
# One of them: `tools/test-integrations bentoml`.
test-integrations:
	tools/test-integrations all $(ARGS)

# Checks everything that is installed for tests against PyPI's advisory database, which must be reachable.
audit: $(VENV)/.test
	$(BIN)/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip_audit --skip-editable

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/run.py $(ARGS)

# `driftline fit` and `check` on ROWS rows of 20 columns, which take 145 bytes each on the disk.
ROWS ?= 10000000
bench-files: $(VENV)/.bench
	$(BIN)/python benchmarks/files.py --rows $(ROWS) $(ARGS)

bench-detection: $(VENV)/.bench
	$(BIN)/python benchmarks/detection/run.py $(ARGS)

clean:
	rm -rf $(VENV) .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis
