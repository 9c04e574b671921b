# Everything happens in .venv; nothing outside this directory is written, but for Debian packages when you are root.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
NODE   := tests/node

# What a caller may say: `make test TESTS=tests/unit`, `make bench BENCH_OPTIONS=--quick`.
DEMO_OPTIONS  :=
BENCH_OPTIONS :=
EXAMPLES      := examples
TESTS         := tests

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

.PHONY: help demo serve install test unit check fix generate bench bench-peers nightly lock hooks clean

help: ## this page
	@scripts/make-help $(MAKEFILE_LIST)

#: Start

demo: $(VENV)/demo.stamp ## set up, run calls through a failing model and under a rule, show receipts, stop
	@$(BIN)/python -m wardwright demo $(DEMO_OPTIONS)

serve: $(VENV)/demo.stamp ## set up and serve the contracts in examples/ on 127.0.0.1:8787
	@$(BIN)/python -m wardwright serve $(EXAMPLES)

#: Develop

install: $(VENV)/check.stamp $(NODE)/node_modules/.stamp ## set up everything that tests and checks need

unit: $(VENV)/test.stamp ## the tests that take seconds: unit and docs
	@$(BIN)/python -m pytest -q tests/unit tests/docs

fix: $(VENV)/check.stamp ## format, and repair what the linter can repair
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .

generate: $(VENV)/check.stamp ## write the generated pages and pictures anew
	@$(BIN)/python -m scripts.generated write

hooks: $(VENV)/check.stamp ## run the checks before every commit from now on
	@$(BIN)/pre-commit install

#: Check

test: $(VENV)/test.stamp $(NODE)/node_modules/.stamp ## every test; TESTS=tests/unit for a part
	@scripts/debian-packages bubblewrap:bwrap systemd:systemd-analyze
	@$(BIN)/python -m pytest $(TESTS)

check: $(VENV)/check.stamp ## lint, format, types, import contracts, generated files, hygiene
	@scripts/check

#: Measure

bench: $(VENV)/test.stamp ## speed and memory beside nginx, into docs/benchmarks.md
	@scripts/debian-packages nginx-light:nginx
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks $(BENCH_OPTIONS)

bench-peers: $(VENV)/test.stamp ## the same loads through other gateways too
	@scripts/debian-packages nginx-light:nginx
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks --peers $(BENCH_OPTIONS)

# A test that tries two million things is not stuck after the three minutes that an ordinary run allows.
nightly: $(VENV)/test.stamp $(NODE)/node_modules/.stamp ## the long runs: deep fuzzing, kill loops, every benchmark
	@scripts/debian-packages bubblewrap:bwrap systemd:systemd-analyze
	@HYPOTHESIS_PROFILE=nightly WARDWRIGHT_TEST_ROUNDS=50 $(BIN)/python -m pytest -o faulthandler_timeout=20000 $(TESTS)
	@$(MAKE) bench-peers BENCH_OPTIONS=--full

#: Release

lock: $(VENV)/lock.stamp ## choose exact versions and hashes of every dependency anew
	@scripts/lock

clean: ## remove the virtual environment and everything that was made
	rm -rf $(VENV) $(NODE)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(wildcard src tests benchmarks scripts) -name __pycache__ -type d -prune -exec rm -rf {} +

# ------------------------------------------------------------------------------------------------ what stands on what

$(VENV)/made.stamp:
	@scripts/make-venv "$(PYTHON)" $(VENV)
	@touch $@

# Each set holds the one before it, at the same versions. The project itself is installed without its dependencies:
# they are there already, and exactly those whose hashes are recorded.
$(VENV)/%.stamp: requirements-%.txt $(VENV)/made.stamp pyproject.toml
	@echo "installing $<" >&2
	@$(PIP) install --require-hashes -r $<
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/lock.stamp: $(VENV)/made.stamp
	@$(PIP) install "uv>=0.13"
	@touch $@

$(NODE)/node_modules/.stamp: $(NODE)/package-lock.json $(NODE)/.npmrc $(VENV)/test.stamp
	@echo "installing $<" >&2
	@cd $(NODE) && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
