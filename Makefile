# Needs only make and Python 3.11+ with venv: every target installs what it uses into .venv.
# `make PYTHON=python3.13 test` picks another Python.

PYTHON ?= python3
WORKERS ?= 2

BIN := .venv/bin
LOWEST := .venv-lowest/bin
PYTEST := $(BIN)/pytest -n $(WORKERS)
PIP_INSTALL := pip install --quiet --disable-pip-version-check

# What the quick tests leave out.
REST := slow or engines or browser

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help demo test test-all test-rest test-engines test-browser lint format types lowest bench conformance notebook hooks clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.package  ## install the package, run examples/quickstart.py and examples/clv.py, write build/cdnow.html
	$(BIN)/python examples/quickstart.py
	$(BIN)/python examples/clv.py
	@mkdir -p build
	$(BIN)/loyalty demo --output build/cdnow.html --force

test: .venv/.test  ## the quick tests, the documentation's examples among them
	$(PYTEST) -m "not ($(REST))"

test-all: test test-rest test-engines test-browser  ## all tests

test-rest: .venv/.test  ## the slow tests
	$(PYTEST) -m "slow and not (engines or browser)"

# One worker keeps one Spark, the other one PostgreSQL.
test-engines: .venv/.engines  ## the tests on Spark and PostgreSQL, which need Java 17 and PostgreSQL's programs
	$(PYTEST) --dist loadgroup -m engines tests

test-browser: .venv/.browser .venv/.axe  ## the tests that open pages in Chromium, which must be installed
	$(PYTEST) -m browser tests/browser

lint: .venv/.dev  ## ruff's rules and format, and who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports --no-logo

format: .venv/.dev  ## mend what ruff can mend by itself
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

types: .venv/.dev  ## mypy
	$(BIN)/mypy

# tests only: docstrings print tables and numbers, whose look differs between releases of pandas and NumPy.
lowest: .venv-lowest/.test  ## the quick tests with the oldest dependencies that pyproject.toml allows
	$(LOWEST)/pytest -n $(WORKERS) -m "not ($(REST))" --ignore=tests/test_docs.py tests

bench: .venv/.test  ## run every benchmark
	@set -e; for script in benchmarks/bench_*.py; do \
		[ -e "$$script" ] || { echo "no benchmarks/bench_*.py"; break; }; \
		echo "== $$script"; $(BIN)/python "$$script"; \
	done

conformance: .venv/.engines  ## ask everything on every engine, write what ran into docs/engines.md
	@mkdir -p build && rm -f build/conformance.jsonl
	LOYALTY_CONFORMANCE=$(CURDIR)/build/conformance.jsonl \
		$(PYTEST) --dist loadgroup tests/conformance/test_conformance.py
	$(BIN)/python tests/conformance/table.py build/conformance.jsonl

notebook: .venv/.test  ## run examples/quickstart.ipynb again, in place
	$(BIN)/python tests/notebooks.py examples/quickstart.ipynb

hooks: .venv/.dev  ## check each commit before it is made
	$(BIN)/pre-commit install

clean:  ## remove the environments and everything that was made
	rm -rf .venv .venv-lowest .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist site
	find src tests examples benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# Stamps: each says that .venv holds an extra, as pyproject.toml asked for it when the stamp was made.

EXTRAS_test := [test]
EXTRAS_engines := [test,spark,ibis]
EXTRAS_browser := [test,browser]
EXTRAS_dev := [dev]

define make_venv
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "loyalty needs Python 3.11 or newer, and $(PYTHON) is not: try make PYTHON=python3.11 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear $(1)
endef

.venv/.made:
	$(call make_venv,.venv)
	@touch $@

.venv/.%: pyproject.toml | .venv/.made
	$(BIN)/$(PIP_INSTALL) -e '.$(EXTRAS_$*)'
	@touch $@

# The rules for accessible pages that Chromium checks a page against; without a lock file, which would name addresses.
.venv/.axe: | .venv/.made
	npm install --silent --no-save --no-package-lock --no-audit --no-fund --prefix .venv/node axe-core@4
	@touch $@

# Wheels only: the oldest release that this Python can install, rather than one that must be compiled first.
.venv-lowest/.test: pyproject.toml
	$(call make_venv,.venv-lowest)
	$(LOWEST)/$(PIP_INSTALL) uv
	$(LOWEST)/uv pip install --quiet --python $(LOWEST)/python --resolution lowest-direct --no-build \
		-r pyproject.toml --extra test
	$(LOWEST)/uv pip install --quiet --python $(LOWEST)/python --no-deps -e .
	@touch $@
