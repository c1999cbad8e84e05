# Everything a person needs: `make demo` shows the whole node, `make test` runs every gate.
# It starts from Python >= 3.11 with pip and venv; uv, which reads the lock file, is installed into .venv itself.
SHELL := /bin/bash
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
  $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; break; }; done)
BIN := .venv/bin
TESTS ?= tests
.PHONY: setup demo test lint bench docs sbom audit clean

setup: .venv/.ready

# The stamp is written last: an interrupted run leaves no stamp and is done again from where it stopped.
.venv/.ready: pyproject.toml uv.lock
	@test -n "$(PYTHON)" || { echo "ncen needs Python 3.11 or newer with venv and pip"; exit 1; }
	@test -x $(BIN)/python && $(BIN)/python -c '' 2>/dev/null || { rm -rf .venv; "$(PYTHON)" -m venv .venv; }
	@test -x $(BIN)/uv && $(BIN)/uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.txt
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

# What this program is made of, for whoever has to answer for it (CycloneDX 1.5).
sbom: setup
	@mkdir -p build
	$(BIN)/uv export --quiet --frozen --no-dev --no-emit-project --preview-features sbom-export --format cyclonedx1.5 -o build/ncen.cdx.json >/dev/null
	@$(BIN)/python -c 'import json; print(len(json.load(open("build/ncen.cdx.json"))["components"]), "components: build/ncen.cdx.json")'

# Known vulnerabilities of what is locked.
audit: setup
	@VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv sync --frozen --inexact --active --quiet --group audit
	@.ci/audit

clean:
	rm -rf .venv bench/out build .pytest_cache .mypy_cache .ruff_cache .hypothesis
