# Everything a person needs: `make demo` shows the whole node, `make test` runs every gate.
# It starts from Python >= 3.11 with pip and venv; uv, which reads the lock file, is installed into .venv itself.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
UV_VERSION := 0.13.9
BIN := .venv/bin
TESTS ?= tests
.PHONY: setup demo test lint bench docs clean

setup: .venv/.ready

# The stamp is written last: an interrupted run leaves no stamp and is done again from where it stopped.
.venv/.ready: pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "ncen needs Python 3.11 or newer with venv and pip"; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { rm -rf .venv; "$(PYTHON)" -m venv .venv; }
	@test -x $(BIN)/uv && $(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv sync --frozen --inexact --active --compile-bytecode --quiet --python $(BIN)/python
	@touch $@

demo: setup
	$(BIN)/ncen demo $(if $(KEEP),--keep)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest -n auto --dist loadgroup $(TESTS)

bench: setup
	$(BIN)/python -m bench

docs: setup
	$(BIN)/python -m docs.generate

clean:
	rm -rf .venv bench/out build .pytest_cache .mypy_cache .ruff_cache .hypothesis
