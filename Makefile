# Two commands on a fresh machine: make run, make test. Everything else builds on them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := evals graph loaders migrations persistence server tools
CODE := $(PACKAGES) bench tests

.PHONY: help run test coverage check format bench soak evals lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready-run: requirements.lock pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh run

$(VENV)/.ready-dev: requirements-dev.lock pyproject.toml deploy/environment.sh tests/foreign/package-lock.json
	@bash deploy/environment.sh dev

$(VENV)/.ready-evals: requirements-evals.lock pyproject.toml deploy/environment.sh
	@bash deploy/environment.sh evals

run: $(VENV)/.ready-run ## Set up and run the product on embedded defaults (Ctrl-C stops it)
	@exec $(BIN)/youworker serve

test: $(VENV)/.ready-dev ## Set up and run the whole test suite
	@$(BIN)/python -m graph.llm.embedded.fetch
	$(BIN)/python -m pytest -n 3 --dist loadgroup

coverage: $(VENV)/.ready-dev ## The same, slower, and say which lines no test has reached
	@$(BIN)/python -m graph.llm.embedded.fetch
	$(BIN)/python -m pytest -n 3 --dist loadgroup --cov --cov-report=term

check: $(VENV)/.ready-dev ## Lint, formatting, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.ready-dev ## Format the code and fix what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.ready-dev ## Run the benchmarks: ratios against floors measured in the same run
	$(BIN)/python -m bench.chat
	$(BIN)/python -m bench.auth
	$(BIN)/python -m bench.audit
	$(BIN)/python -m bench.session_growth
	$(BIN)/python -m bench.session_search
	$(BIN)/python -m bench.mcp
	$(BIN)/python -m bench.ingest
	$(BIN)/python -m bench.retrieval
	$(BIN)/python -m bench.search
	$(BIN)/python -m bench.analytics
	$(BIN)/python -m bench.ocr
	$(BIN)/python -m bench.embedded_model
	$(BIN)/python -m bench.evals

soak: $(VENV)/.ready-dev ## Kill two replicas 200 times at random moments; nothing may be lost or done twice
	$(BIN)/python -m bench.soak --kills 200 --stops 20

evals: $(VENV)/.ready-evals ## Run the suite `smoke` on the configured model, and write a report
	$(BIN)/youworker eval run smoke

lock: $(VENV)/.ready-dev ## Resolve the dependencies anew into the three lock files
	$(BIN)/uv pip compile pyproject.toml --group dev --extra evals --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header -q -o requirements-dev.lock
	$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header -q -c requirements-dev.lock -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra evals --universal --python-version 3.11 --no-emit-index-url --generate-hashes --no-header -q -c requirements-dev.lock -o requirements-evals.lock

clean: ## Remove the virtual environment and caches (data stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage*
