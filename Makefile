# `make demo` and `make test` set up everything they need. They require Python, and Java 17 or later with Maven. For the
# demo, a Docker engine is enough instead of Java and Maven. `make test` also requires PgBouncer, faketime, promtool, zsh,
# fish and Chromium.

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/installed
DEMO_INSTALLED := .venv/installed-demo
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
PYTEST := -m pytest -n 4 --dist loadfile --no-loadscope-reorder
NEEDS_COMPOSE = @$(COMPOSE) ps >/dev/null 2>&1 || \
	{ echo 'This needs a Docker engine with compose: `$(COMPOSE) ps` fails. Without Docker: make sandbox' >&2; exit 2; }

.DEFAULT_GOAL := help
.PHONY: help demo sandbox test coverage lint docs reference faults bench profile release-check up down test-images mutants

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | awk '{gsub(/; /, "\n\t")} 1' | expand -t 20

demo: $(DEMO_INSTALLED) ## run the demo; ARGS=--keep leaves it running, with a dashboard; ARGS=--stop ends what --keep left running
	@$(BIN)/python -m testbed.demo $(ARGS)

sandbox: $(DEMO_INSTALLED) ## start Postgres, Kafka and an empty platform; for docs/tutorial.md and docs/ten-minutes.md
	@$(BIN)/python -m testbed.demo.sandbox $(ARGS)

test: lint ## lint, then all tests; ARGS=-n0 runs them in one process
	$(BIN)/python $(PYTEST) $(ARGS)

coverage: $(INSTALLED) ## all tests with branch coverage, which takes longer
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	@rm -f .coverage.*  # incomplete files of processes that a test killed
	$(BIN)/coverage report

lint: $(INSTALLED) ## check style, types and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED) ## build the documentation site into build/site; every warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet --conf-dir docs/site . build/site

reference: $(INSTALLED) ## make the parts of docs/ again that repeat code
	PYTHONPATH=.:tests $(BIN)/python -m reference.pages

faults: $(INSTALLED) ## run the faults of docs/reliability.md; ARGS='--seed 7 --rounds 100' repeats a run
	$(BIN)/python -m pytest tests/faults tests/unit/test_two_readings.py --long -v $(ARGS)

mutants: $(INSTALLED) ## make known mistakes which the tests must find; ARGS='--only ledger' chooses
	PYTHONPATH=.:tests $(BIN)/python -m mutants $(ARGS)

bench: $(INSTALLED) ## measure rates; ARGS=quick takes a minute, ARGS=--help lists all parts
	$(BIN)/python -m benchmarks $(ARGS)

profile: $(INSTALLED) ## measure where the time per record goes
	$(BIN)/python -m benchmarks profile $(ARGS)

release-check: $(INSTALLED) ## check what would be published; ARGS='--skip python3.12' leaves a check out
	$(BIN)/python -m release $(ARGS)

up: ## start all of compose.yaml in containers; ARGS='projector dashboard' starts only these
	$(NEEDS_COMPOSE)
	$(COMPOSE) up --build --detach $(ARGS)
	@echo "The dashboard: http://127.0.0.1:$${DASHBOARD_PORT:-8080}, with the token demo-dashboard-token"

down: ## stop what `up` started, and delete its data
	$(NEEDS_COMPOSE)
	$(COMPOSE) down --volumes

test-images: ## build the image and test compose.yaml; needs a Docker engine
	tests/images/run

# The constraints also pin the packages that build the project. Since 25.3, pip reads those from PIP_BUILD_CONSTRAINT.
define install
	@$(PYTHON) -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit("Python 3.11, 3.12 or 3.13, please: make PYTHON=python3.12 …")'
	@echo 'Installing packages into .venv: about a minute, only the first time'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv .venv
	@PIP_CONSTRAINT=constraints.txt PIP_BUILD_CONSTRAINT=constraints.txt $(BIN)/python -m pip install --quiet --editable '.[$(1)]'
endef

$(INSTALLED): pyproject.toml constraints.txt
	$(call install,dev)
	@touch $@ $(DEMO_INSTALLED)

# A part of it, which takes a third of the time.
$(DEMO_INSTALLED): pyproject.toml constraints.txt
	$(call install,demo)
	@touch $@
