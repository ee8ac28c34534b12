# Two commands to know: `make run` and `make test`. `make` alone prints the rest.
SHELL := /bin/sh
VENV := .venv
STAMP := $(VENV)/.installed
PY := $(VENV)/bin/python
SPEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help run smoke test test-slow check format day bench dev migration openapi lock clean

help: ## Print this.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## Run the hub with 91 simulated stations; SPEED=60: a faster clock, TLS=1: with TLS.
	@exec $(PY) -m chargehub demo --speed $(SPEED) $(if $(filter-out 0,$(TLS)),--tls) --with-parent

smoke: $(STAMP) ## The same without a person: 91 stations, 50 transactions, a summary, an exit code.
	@exec $(PY) -m chargehub smoke --with-parent

test: $(STAMP) ## All tests but the long ones, as two runs side by side.
	@exec $(PY) -m tests.side_by_side

test-slow: $(STAMP) ## All tests, the long ones too, with random seeds.
	@exec $(PY) -m pytest -m "slow or not slow" --hypothesis-profile random --timeout 3600

check: $(STAMP) ## Lint, format, types, import contracts, house rules, API drift.
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/hadolint Dockerfile
	@$(PY) -m check_jsonschema --builtin-schema vendor.compose-spec compose.yaml
	@$(PY) -m pytest tests/test_tidy.py
	@$(PY) -m chargehub openapi --check openapi.json

format: $(STAMP) ## Put the sources into their form.
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

day: $(STAMP) ## Live through a day of 600 drivers at 182 guns and print what the promises came to.
	@exec $(PY) -m tests.days

bench: $(STAMP) ## Measure, write benchmarks/results.json and the README's table (15 minutes).
	@exec $(PY) -m benchmarks

dev: $(STAMP) ## The server alone in demo mode, readable logs, for working on it.
	@CHARGEHUB_DEMO=true CHARGEHUB_LOG__FORMAT=console exec $(PY) -m chargehub serve

migration: $(STAMP) ## Write the initial migration anew from the tables (until the first release).
	@exec $(PY) migrations/regenerate.py

openapi: $(STAMP) ## Write openapi.json anew.
	@$(PY) -m chargehub openapi > openapi.json.new && mv openapi.json.new openapi.json

lock: ## Resolve pyproject.toml into requirements.lock anew.
	@test -x build/lock/bin/pip-compile || \
		{ python3 -m venv build/lock && build/lock/bin/python -m pip install -q pip-tools; }
	@build/lock/bin/pip-compile --quiet --upgrade --extra dev --generate-hashes --allow-unsafe \
		--strip-extras --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--no-emit-trusted-host --output-file requirements.lock pyproject.toml requirements-build.in

clean: ## Remove what was made, but not the hub's data in var/.
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed again when the lock or the project file changes, or the checkout has moved.
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif
$(STAMP): requirements.lock pyproject.toml .ci/install
	@.ci/install
