# The platform's verbs. GNU make 4; works in paths with spaces. `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

PYTHON3 ?= python3
NAUTILUS_VENV ?= .venv
PY = "$(NAUTILUS_VENV)/bin/python"
BOOTSTRAP = command -v "$(PYTHON3)" >/dev/null \
	|| { echo "nautilus: there is no $(PYTHON3): install Python 3.11" >&2; exit 1; }; \
	"$(PYTHON3)" scripts/bootstrap.py --venv "$(NAUTILUS_VENV)"
NEEDS_DOCKER = docker compose version >/dev/null 2>&1 \
	|| { echo "nautilus: this verb needs Docker with its compose plugin, which is not here; make run does not" >&2; \
	exit 1; }
# The paper exchange belongs to BINANCE_ENV=local, which is the default.
COMPOSE = $(NEEDS_DOCKER); env="$${BINANCE_ENV:-$$(sed -n 's/^BINANCE_ENV=//p' .env 2>/dev/null | tail -n 1 || true)}"; \
	profile=(); if [ "$${env:-local}" = local ]; then profile=(--profile local); fi; \
	docker compose "$${profile[@]}"

# What pytest is given; `make test TESTS="tests/unit -k rails"` runs a part.
# Whole files go to one worker: a platform under test is shared by the tests of its file.
TESTS ?= -n 2 --dist loadfile
# CHAOS_MATRIX=100 repeats the table of crashes, SIM_SEEDS=50000 widens the simulation, NORMAL_LOAD_MINUTES=30 watches the
# demo for longer; all are read by the tests.
CHAOS_KILLS ?= 30
CHAOS_SEED ?= 1
CHAOS_RATE ?= 20
CHAOS_PACE ?= 6
FILE ?=
CODE = nautilus_site governance mlregistry trading universe testnet

.PHONY: help run test test-long bench peers chaos lint format lock build up-core up-obs down ps smoke-exporter validate-obs \
	backup restore install

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile
	@echo "Settings are environment variables or lines of a file .env; .env.example lists them."

install: ## Create the virtual environment and install the pinned packages
	@$(BOOTSTRAP)

run: ## Run the whole platform in the foreground; Ctrl-C stops it
	@$(BOOTSTRAP)
	@exec $(PY) manage.py run

test: ## Run the test suite (TESTS="tests/unit -k rails" for a part)
	@$(BOOTSTRAP) --dev
	@$(PY) scripts/client_envs.py
	@$(PY) -m pytest $(TESTS)

test-long: ## Run the campaigns of minutes that `make test` leaves out
	@$(BOOTSTRAP) --dev
	@$(PY) -m pytest -n 2 --dist loadfile -m long

bench: ## Run the benchmarks; a table here, JSON lines in benchmarks/results/
	@$(BOOTSTRAP) --dev
	@$(PY) scripts/bench.py

peers: ## Install the public packages that the benchmarks compare themselves with, in var/peers and var/peers-nautilus
	@for name in peers peers-nautilus; do \
		$(PY) -m venv var/$$name && var/$$name/bin/pip install --quiet --only-binary :all: --require-hashes \
			-r benchmarks/requirements-$$name.txt || exit 1; \
	done

chaos: ## Inject faults into a running platform and let the oracle judge (CHAOS_KILLS=300 CHAOS_SEED=1)
	@$(BOOTSTRAP) --dev
	@CHAOS_KILLS="$(CHAOS_KILLS)" CHAOS_SEED="$(CHAOS_SEED)" CHAOS_RATE="$(CHAOS_RATE)" CHAOS_PACE="$(CHAOS_PACE)" \
		$(PY) -m tests.chaos

lint: lint-style lint-types lint-imports lint-migrations lint-deployment ## Check style, types, imports, migrations and the production settings

# `make -k lint` goes on after the first check that fails.
.PHONY: dev lint-style lint-types lint-imports lint-migrations lint-deployment
dev:
	@$(BOOTSTRAP) --dev

lint-style: dev
	@echo "== ruff"
	@{ $(PY) -m ruff check . && $(PY) -m ruff format --check --quiet .; } \
		|| { echo "nautilus: make format repairs most of this" >&2; exit 1; }
	@! git grep -nE '^(<{7}|>{7}) ' || { echo "nautilus: a merge left these behind" >&2; exit 1; }

lint-types: dev
	@echo "== mypy"
	@$(PY) -m mypy $(CODE)

lint-imports: dev
	@echo "== imports"
	@$(PY) -c "from importlinter.cli import lint_imports_command as run; run()"

# These two need a home to start from and no database: the values are thrown away.
THROWAWAY = home="$$(mktemp -d)"; trap 'rm -rf "$$home"' EXIT; export NAUTILUS_HOME="$$home"; \
	unset DJANGO_SETTINGS_MODULE DATABASE_URL DATABASE_OWNER_URL REDIS_URL

lint-migrations: dev
	@echo "== migrations"
	@$(THROWAWAY); $(PY) -W "ignore::RuntimeWarning" manage.py makemigrations --check --dry-run

lint-deployment: dev
	@echo "== deployment"
	@$(THROWAWAY); \
		key() { $(PY) -c 'import base64, secrets; print(base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())'; }; \
		export SECRET_KEY="$$(key)$$(key)" FIELD_ENCRYPTION_KEYS="$$(key)" \
			DATABASE_URL=postgresql://nautilus@database.invalid/nautilus REDIS_URL=redis://broker.invalid:6379 \
			ALLOWED_HOSTS=trading.invalid DJANGO_SETTINGS_MODULE=nautilus_site.settings.production; \
		$(PY) manage.py check --deploy --fail-level WARNING

format: ## Format the code and repair what ruff can
	@$(BOOTSTRAP) --dev
	@$(PY) -m ruff check --fix . || true
	@$(PY) -m ruff format .

lock: ## Pin requirements*.in anew, with hashes (needs uv)
	@command -v uv >/dev/null || { echo "nautilus: make lock needs uv on the PATH" >&2; exit 1; }
	@for name in requirements requirements-dev; do \
		uv pip compile --generate-hashes --python-version 3.11 --no-emit-index-url "$$name.in" -o "$$name.txt"; \
	done
	@cd tests/contract/clients/requirements; for name in ccxt sdk nautilus; do \
		uv pip compile --generate-hashes --python-version 3.11 --no-emit-index-url "$$name.in" -o "$$name.txt"; \
	done

build: ## Build the container image
	@$(COMPOSE) build

up-core: ## Start the platform on Docker Compose
	@$(COMPOSE) up --detach --build --wait

up-obs: ## Start Prometheus, Alertmanager, Grafana and Loki on Docker Compose
	@$(NEEDS_DOCKER)
	@"$(PYTHON3)" scripts/validate_observability.py
	@$(COMPOSE) -f docker-compose.yml -f observability/docker-compose.yml up --detach --wait

down: ## Stop what Docker Compose runs; the data stays
	@$(COMPOSE) down

ps: ## Show what Docker Compose runs
	@$(COMPOSE) ps

smoke-exporter: ## Check that a running platform publishes its metrics
	@$(BOOTSTRAP)
	@$(PY) scripts/smoke_exporter.py

validate-obs: ## Check the observability files
	@"$(PYTHON3)" scripts/validate_observability.py

backup: ## Dump the database to NAUTILUS_HOME/backups
	@$(BOOTSTRAP)
	@$(PY) scripts/database_dump.py backup

restore: ## Restore a dump of the database (FILE=...), keeping the present one under another name
	@$(BOOTSTRAP)
	@$(PY) scripts/database_dump.py restore "$(FILE)"
