# `make up` shows drift in real flights, `make test` proves it. Everything is installed into .venv and var/; nothing outside, except that on
# Debian as root a missing Java or Maven is installed.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= $(firstword $(foreach p,python3.11 python3.12 python3,$(shell command -v $(p) 2>/dev/null)))
BIN := .venv/bin
STAMP := .venv/.installed
COMPOSE := $(BIN)/docker-compose --file compose/docker-compose.yml
# In a folder of its own: `uv pip sync` removes whatever the lock does not name, itself included.
UV := .venv/uv/bin/uv
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help up down status logs replay test lint lock bench drill clean

help:  ## this list
	@grep -hE '^[a-z%-]+:.*  ## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z%-]+):.*  ## /\1\t/' | expand -t 14

up: $(STAMP)  ## set up what is missing, start everything, replay the flights of 2013 (STACK=native|docker forces one)
	@$(BIN)/tidemark up $(if $(STACK),--stack $(STACK)) $(ARGS)

down:  ## stop everything
	@if [ -x $(BIN)/tidemark ]; then $(BIN)/tidemark down; else echo "nothing is installed, so nothing runs"; fi

status: $(STAMP)  ## what runs and whether it answers
	@$(BIN)/tidemark status

logs: $(STAMP)  ## the last lines of every log (ARGS="worker -f" follows one)
	@$(BIN)/tidemark logs $(ARGS)

replay: $(STAMP)  ## replay the flights of 2013 again, as a new run (ARGS="--speed max")
	@$(BIN)/tidemark run replay flights $(or $(ARGS),--speed 7d/5s)

# Integration tests mostly wait for real parts: two files at a time, and beside them, at lowest priority, the unit tests. Their output comes last.
test: $(STAMP)  ## unit and integration tests against the real broker (ARGS="-k name")
ifdef ARGS
	@$(BIN)/pytest -m "not drill" $(ARGS)
else
	@mkdir -p var; nice -n 19 $(BIN)/pytest -q -m "not drill" -n 2 --dist worksteal tests/unit tests/model > var/unit-tests.log 2>&1 & unit=$$!; status=0; \
		$(BIN)/pytest -m "not drill" -n 2 --dist loadfile --durations 12 tests/integration || status=$$?; \
		echo "the unit tests:"; wait $$unit || status=$$?; cat var/unit-tests.log; exit $$status
endif

drill: $(STAMP)  ## tests that kill real processes for minutes
	@$(BIN)/pytest -m drill --timeout 1800 $(ARGS)

lint: $(STAMP)  ## ruff, mypy, hadolint, and Compose's own check of its files
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/hadolint compose/Dockerfile
	@$(COMPOSE) config --quiet
	@for profile in replay registry '*'; do $(COMPOSE) --profile "$$profile" config --quiet; done
	@TIDEMARK_BOOTSTRAP_SERVERS=broker.example:9092 $(COMPOSE) --file compose/docker/own-broker.yml --profile '*' config --quiet

bench: $(STAMP)  ## every quick benchmark; `make bench-NAME` runs one of decode, drift, emit, ingest, latency, or detection, false-alarms (an hour)
	@for name in decode drift emit ingest latency; do $(BIN)/python -m benchmarks.$$name; done

bench-%: $(STAMP)
	@$(BIN)/python -m benchmarks.$(subst -,_,$*) $(ARGS)

lock: $(UV)  ## resolve pyproject.toml anew into requirements.lock
	@$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" --all-extras pyproject.toml -o requirements.lock --quiet $(ARGS)
	@$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make lock" compose/docker/build.in -o compose/docker/build.lock --quiet $(ARGS)
	@for peer in alibi nannyml quix river; do \
		$(UV) pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
			--custom-compile-command "make lock" benchmarks/$$peer/requirements.in -o benchmarks/$$peer/requirements.txt --quiet $(ARGS); \
	done

clean: down  ## stop everything, remove .venv and var
	@rm -rf .venv var

$(UV):
	@test -n "$(PYTHON)" || { echo "error: there is no python3 on PATH; install Python 3.11 or 3.12" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
		|| { echo "error: $(PYTHON) is not Python 3.11 or 3.12; install one, or name it: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip' 2>/dev/null \
		|| { echo "error: $(PYTHON) cannot make environments; install python3-venv" >&2; exit 2; }
	@"$(PYTHON)" -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --target .venv/uv uv==0.13.8

# The lock first, every file by its hash; then this project itself, linked (no dependency is resolved again).
$(STAMP): requirements.lock pyproject.toml | $(UV)
	@echo "installing into .venv"
	@VIRTUAL_ENV="$(CURDIR)/.venv" $(UV) pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV="$(CURDIR)/.venv" $(UV) pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
