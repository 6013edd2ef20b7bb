# Needs Python 3.11 or later, git and make; all that is installed goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
OLD := Pocketlet needs Python 3.11 or later, and $(PYTHON) is %d.%d. Try: make PYTHON=python3.12 (with that name first on PATH).
MCP_SERVERS := @modelcontextprotocol/server-filesystem@2026.8.31 @modelcontextprotocol/server-everything@2026.8.31
BARE := $(PYTHON) could not make $(VENV). On Debian and Ubuntu: apt-get install python3-venv. Then: make clean.

.PHONY: help setup demo check test test-ui test-chaos test-security bench bench-learning bench-effects bench-schedules bench-agentdojo clean system-deps

help: ## Lists these verbs.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

setup: $(VENV)/.dev ## Installs Pocketlet and the development tools into .venv.

demo: $(VENV)/.runtime ## Shows the crm story, offline, with a stand-in for the model.
	@$(BIN)/pocketlet demo crm $(ARGS)

check: $(VENV)/.dev ## Format, lint, types, and which module may import what.
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/basedpyright && $(BIN)/lint-imports

test: $(VENV)/.dev $(VENV)/.mcp ## Runs the tests, on at most four cores.
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -m "not chaos and not ui" $(ARGS)

test-ui: $(VENV)/.dev ## Every page in Chromium: two themes, three widths, axe, journeys. Some minutes; ARGS="-k login".
	@$(BIN)/python -m bench.ui $(ARGS)

test-chaos: $(VENV)/.dev ## Kills processes at every point of their source, stops them, restarts Postgres; ARGS="--full".
	@$(BIN)/python -m pytest -n auto --maxprocesses 4 -m chaos --timeout 900
	@$(BIN)/python -m bench.chaos $(ARGS)

test-security: $(VENV)/.dev ## A hostile model against the real worker, then with each gate open; ARGS="--steps 100000".
	@$(BIN)/python -m bench.adversary $(ARGS)

bench: $(VENV)/.dev ## Runs every benchmark in bench/.
	@for file in bench/*.py; do [ -e "$$file" ] || { echo "There is no benchmark yet."; exit 1; }; $(BIN)/python "$$file" || exit 1; done

bench-learning: $(VENV)/.dev ## Learning on a stream of mails, with ablations; ARGS="--seeds 1-5 --arms all --flip 0.1".
	@$(BIN)/python -m bench.learning $(ARGS)

bench-effects: $(VENV)/.dev ## Outside actions against every fault, referee and all; ARGS="--effects 10000 --seed 1".
	@$(BIN)/python -m bench.effects $(ARGS)

bench-schedules: $(VENV)/.dev ## How late 10,000 scheduled agents begin, on two workers. About ten minutes; ARGS="--minutes 5 --agents 10000".
	@$(BIN)/python -m bench.schedules $(ARGS)

bench-agentdojo: $(VENV)/.dev ## AgentDojo's call lists against the gate: tasks unasked, attacks stopped. About a minute.
	@[ -d $(VENV)/agentdojo ] || $(PIP_INSTALL) --no-deps --target $(VENV)/agentdojo --requirement bench/agentdojo/requirements.txt
	@$(BIN)/python -m bench.agentdojo $(ARGS)

clean: ## Removes .venv and all caches; agents' data is elsewhere and stays.
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

system-deps: ## Debian's packages for the tests: Postgres 15, Python's own mail samples, Dovecot, npm, Chromium.
	@wanted="$$([ -x /usr/lib/postgresql/15/bin/postgres ] || echo postgresql-15) $$($(PYTHON) -c 'import test.test_email' 2>/dev/null || echo libpython3-testsuite) $$([ -x /usr/sbin/dovecot ] || echo dovecot-imapd) $$(command -v npm >/dev/null || echo npm) $$(command -v chromium >/dev/null || echo chromium)"; \
	if [ -z "$${wanted# }" ]; then echo "All that the tests need is here."; elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$wanted; \
	else echo "Missing, and only root on Debian can install it here: $$wanted. The tests that need it can't run."; fi

# A stamp is written last: an installation that was killed is done again.
$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing Pocketlet and the development tools into $(VENV) (about 60 s the first time) ..."
	@$(PIP_INSTALL) --editable '.[dev,google]' && touch $(VENV)/.runtime $@ && echo "Installed."

# MCP servers of other people, for the tests; without npm these tests skip here, and fail in CI.
$(VENV)/.mcp: | $(VENV)/.dev
	@command -v npm >/dev/null || { echo "There is no npm: the tests of other people's MCP servers can't run."; exit 0; }; \
	npm install --silent --no-save --ignore-scripts --no-audit --no-fund --prefix $(VENV)/mcp $(MCP_SERVERS) && touch $@

$(VENV)/.runtime: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "Installing Pocketlet and its Postgres into $(VENV) (about 40 s the first time) ..."
	@$(PIP_INSTALL) --editable . && touch $@ && echo "Installed."

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 11) or sys.exit("$(OLD)" % v[:2])'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Making $(VENV) with $(PYTHON) ..."; $(PYTHON) -m venv $(VENV); } || { echo "$(BARE)" >&2; exit 1; }
	@touch $@
