# Each target builds .venv by itself: nothing is needed but make and Python 3.11 or newer.
# `make help` lists the targets; PYTHON=/path/to/python chooses the interpreter that .venv is built with.

MODERN  := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON  ?= $(shell for python in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	"$$python" -c '$(MODERN)' >/dev/null 2>&1 && echo "$$python" && break; done)
VENV    := .venv
BIN     := $(VENV)/bin
RUNTIME := $(VENV)/runtime.stamp
DEV     := $(VENV)/dev.stamp
UV      := uv==0.13.9
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

# Modules are compiled once and not at every start, also on machines that say otherwise: the tests start many processes.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test fuzz check lint types audit format migrate revision verify backup restore password users user-add \
	user-remove invite pictures bench quick profile scale abuse faults all lock dev clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F '|' '{ printf "%-20s%s\n", $$1, $$2 }'

run: $(RUNTIME) ## serve the API, on http://localhost:8000 unless configured otherwise
	$(BIN)/python main.py

test: $(DEV) ## run the tests; `make test cover=yes` also says what they cover, and takes longer
	$(if $(cover),@$(BIN)/coverage erase)
	$(if $(cover),$(BIN)/coverage run -m pytest,$(BIN)/pytest)
	$(if $(cover),@$(BIN)/coverage combine --quiet)
	$(if $(cover),$(BIN)/coverage report)

fuzz: $(DEV) ## send generated requests for a long time, on both databases: make fuzz examples=200 seed=1
	HUNT=yes $(BIN)/pytest -m "hypothesis or hunt"
	$(BIN)/python -m tests.support.fuzzing $(if $(examples),--examples $(examples)) $(if $(seed),--seed $(seed))

check: cover := yes
check: lint types audit test ## all that must pass before a commit: lint, types, audit, tests and what they cover

lint: $(DEV) ## lint the code, and check how it is formatted
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV) ## check the types
	$(BIN)/mypy

audit: $(DEV) ## look the locked dependencies up among the known vulnerabilities
	@$(BIN)/python -m tests.support.audit

format: $(DEV) ## format the code, and correct what the linter can correct
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

migrate: $(RUNTIME) ## bring the database's schema up to date
	@$(BIN)/python -m commands migrate

revision: $(DEV) ## write a migration from the models' changes: make revision m="add budgets"
	@test -n "$$m" || { echo 'Say what changes: make revision m="add budgets"' >&2; exit 2; }
	$(BIN)/alembic revision --autogenerate -m "$$m"

verify: $(RUNTIME) ## check counts, revisions, references and amounts of every ledger
	@$(BIN)/python -m commands check

backup: $(RUNTIME) ## write a verified backup beside the working service: make backup file=PATH keep=7
	@test -n "$$file" || { echo 'Say where: make backup file=/srv/backups/expenses.db' >&2; exit 2; }
	@$(BIN)/python -m commands backup$(if $(keep), --keep "$$keep") -- "$$file"

restore: $(RUNTIME) ## restore a backup where no database is: make restore file=PATH
	@test -n "$$file" || { echo 'Say what: make restore file=/srv/backups/expenses.db' >&2; exit 2; }
	@$(BIN)/python -m commands restore -- "$$file"

password: $(RUNTIME) ## reset a forgotten password: make password user=NAME
	@test -n "$$user" || { echo 'Say whose: make password user=NAME' >&2; exit 2; }
	@$(BIN)/python -m commands password -- "$$user"

users: $(RUNTIME) ## list the accounts
	@$(BIN)/python -m commands user list

user-add: $(RUNTIME) ## open an account: make user-add name=NAME email=EMAIL
	@test -n "$$name" && test -n "$$email" || { echo 'Say whose: make user-add name=NAME email=EMAIL' >&2; exit 2; }
	@$(BIN)/python -m commands user add -- "$$name" "$$email"

user-remove: $(RUNTIME) ## delete an account and everything in it, after asking: make user-remove name=NAME
	@test -n "$$name" || { echo 'Say whose: make user-remove name=NAME' >&2; exit 2; }
	@$(BIN)/python -m commands user remove$(if $(filter 1 yes,$(yes)), --yes) -- "$$name"

invite: $(RUNTIME) ## make a code with which one account can be registered: make invite expires=24h
	@$(BIN)/python -m commands invite$(if $(expires), --expires "$$expires")

pictures: $(DEV) ## take the pictures of README again, with the browser Chromium
	$(BIN)/python -m tests.support.pictures

bench: $(DEV) ## compare the speed with two reference applications; `make bench quick`, `profile`, `scale` or `abuse`
	$(BIN)/python -m benchmarks $(patsubst %,--only %,$(filter profile scale abuse,$(MAKECMDGOALS))) \
		$(if $(filter quick,$(MAKECMDGOALS)),--quick) $(if $(driver),--driver $(driver)) $(if $(on),--on $(on)) \
		$(if $(attack),--attack "$(attack)")

faults: $(DEV) ## break what the service stands on while clients write: make faults, make faults all
	$(BIN)/python -m faults $(if $(filter all,$(MAKECMDGOALS)),--all) $(if $(only),--only $(only)) $(if $(on),--on $(on)) \
		$(if $(seed),--seed $(seed))

all quick profile scale abuse: # words after `faults` and `bench`, and nothing to build by themselves
	@test -n "$(filter faults bench,$(MAKECMDGOALS))" || $(MAKE) --no-print-directory help

lock: $(BIN)/python ## compile requirements*.txt from pyproject.toml; `make lock with=--upgrade` upgrades what it may
	$(BIN)/python -m pip install --quiet $(UV)
	$(COMPILE) $(with) --output-file requirements.txt
	$(COMPILE) $(with) --group dev --constraint requirements.txt --output-file requirements-dev.txt

dev: $(DEV) ## build .venv with everything a developer needs

clean: ## remove .venv and every cache; the data stays
	rm -rf $(VENV) .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/python:
	@"$(PYTHON)" -c '$(MODERN)' >/dev/null 2>&1 || { echo "Python 3.11 or newer, with its venv module, was not found: \
	install it, or name it with make PYTHON=/path/to/python." >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# Installed again whenever the lock changes.
$(RUNTIME): requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

$(DEV): requirements-dev.txt $(RUNTIME)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@
