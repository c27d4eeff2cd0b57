# Everything a developer types. `make help` lists it; CI calls the same targets.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Stamps of what is installed, so that a second run has nothing to do.
DONE := .make
E2E := tests/e2e
CLUSTER := tests/cluster
# Those of them that mostly wait.
CLUSTER_WAITING := $(CLUSTER)/test_webhooks.py $(CLUSTER)/test_rates.py
# What a cluster of two versions does as one of a single version.
UPGRADED := $(addprefix $(CLUSTER)/test_,delivery.py presence.py queries.py cache.py drain.py)
# A minute each, mostly of waiting.
SOAK_TESTS := tests/bench/test_soak.py
# With containers.
STACK := tests/stack
# With processes of PHP: php-fpm, workers, applications of Laravel.
PHP_TESTS := tests/php tests/php_worker tests/laravel
# npm writes it when all packages of the lock file are there.
CLIENTS := $(E2E)/node_modules/.package-lock.json
GENERATED := $(DONE)/proto
# Tests wait for servers and clocks more than they compute: several processes of them, each with the
# tests of whole files. JOBS=0 runs them in one.
JOBS ?= 3
PARALLEL = -n $(JOBS) --dist loadfile
# Those that compute as well, or have less time: browsers, PHP, and clusters.
PARALLEL_2 = -n $(if $(filter 0,$(JOBS)),0,2) --dist loadfile
PHP_FILES := find php tests bench -name '*.php' -not -path '*/node_modules/*'
# Where Debian's newer PHP and Laravel are installed; CI may keep it between runs.
LARAVEL13 ?= $(DONE)/laravel13

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# What runs at the same time would only be slower, and harder to read.
.NOTPARALLEL:
.PHONY: help run test lint types proto proto-check unit php e2e test-php test-laravel13 test-cluster test-upgrade test-chaos test-load test-compose env lock check-instructions speedups bench bench-all bench-presence bench-auth bench-php soak wheel clean

help: ## List the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-18s %s\n", $$1, $$2}'

run: $(DONE)/run ## Install and start `pogo serve`
	@$(BIN)/pogo serve

test: lint types proto-check php unit e2e ## Install what the tests need; lint, types, all tests but the long ones (test-…)

lint: $(DONE)/dev ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(DONE)/dev ## Check types, strictly
	$(BIN)/mypy

unit: $(DONE)/dev $(DONE)/servers $(DONE)/prometheus $(DONE)/php $(DONE)/docker-compose $(DONE)/compiler ## Run the tests of the Python packages; pogo.pusher must be covered whole
	PYTHONASYNCIODEBUG=1 $(BIN)/coverage run --source=core/pogo/pusher -m pytest tests/pusher
	$(BIN)/coverage report --fail-under=100
	PYTHONASYNCIODEBUG=1 $(BIN)/pytest $(PARALLEL) -m 'not chaos and not load' $(addprefix --ignore=,tests/pusher $(E2E) $(CLUSTER) $(STACK) $(PHP_TESTS))

php: $(DONE)/php ## Check the PHP package: syntax, style, and the tests that need no server
	@$(PHP_FILES) -print0 | xargs -0 -n 1 php -d display_errors=stderr -l >/dev/null
	phpcs -q --standard=php/phpcs.xml.dist php tests bench
	phpunit --configuration php/phpunit.xml.dist
	phpunit --configuration php/tests/Laravel/phpunit.xml

e2e: $(DONE)/dev $(DONE)/servers $(DONE)/php $(DONE)/browser $(CLIENTS) ## Run pusher-js, Laravel Echo and Chromium against real servers
	$(BIN)/pytest $(PARALLEL_2) -m 'not chaos and not load' $(E2E)

test-laravel13: $(DONE)/dev $(DONE)/servers $(DONE)/php $(DONE)/browser $(CLIENTS) ## Run the tests of the Laravel driver on Laravel 13, in a chroot that root makes
	scripts/with-laravel13 $(LARAVEL13) $(BIN)/pytest \
	  tests/laravel tests/php_worker/test_laravel.py $(E2E)/test_laravel.py

test-php: $(DONE)/dev $(DONE)/servers $(DONE)/php $(CLIENTS) ## Publish, sign and broadcast from PHP and Laravel, against real servers
	$(BIN)/pytest $(PARALLEL_2) $(PHP_TESTS)

test-cluster: $(DONE)/dev $(DONE)/servers $(DONE)/browser $(CLIENTS) ## Kill, freeze and cut off nodes of clusters, and see that presence stays true
	$(BIN)/pytest $(addprefix --ignore=,$(CLUSTER_WAITING)) $(CLUSTER)
	$(BIN)/pytest -n 4 $(CLUSTER_WAITING)

test-upgrade: $(DONE)/dev $(DONE)/servers $(CLIENTS) ## Run nodes of an earlier version and of this one on one bus (FROM=revision)
	old=$$(scripts/old-version "$(FROM)" $(DONE)/old) && for roles in edge broker; do \
	  echo "Old: each $$roles. It is new once it was restarted."; \
	  POGO_TEST_OLD_POGO="$$old" POGO_TEST_OLD_ROLES=$$roles $(BIN)/pytest $(UPGRADED) || exit 1; \
	done

test-chaos: $(DONE)/dev $(DONE)/servers $(DONE)/prometheus ## Kill servers for minutes and see that no promise breaks
	$(BIN)/pytest -n 3 -m chaos

test-load: $(DONE)/dev $(DONE)/servers $(DONE)/php $(DONE)/valgrind ## Connect thousands of clients and see that memory stays
	$(BIN)/pytest -m load --ignore=$(SOAK_TESTS)
	$(BIN)/pytest -m load -n 4 $(SOAK_TESTS)

test-compose: $(DONE)/dev $(DONE)/engine $(DONE)/docker-compose $(CLIENTS) ## Bring the stack of compose.yaml up, on NATS and on Redis, and use it in a browser
	$(BIN)/pytest $(STACK)

env: ## Write the file .env for compose.yaml, with random secrets
	@scripts/make-env

lock: $(BIN)/pip ## Write anew which packages the images are made of
	$(BIN)/pip install --quiet uv
	scripts/lock $(BIN)/uv $(if $(UPGRADE),--upgrade)

check-instructions: $(DONE)/dev $(DONE)/valgrind $(DONE)/speedups ## Fail where a hot path takes over 10 % more instructions than it did
	$(BIN)/python -m bench.instructions

speedups: $(DONE)/speedups ## Compile the edge's innermost loop in C, and install it (optional)

bench: $(DONE)/bench $(DONE)/servers $(DONE)/speedups ## Measure deliveries, connections and publishing, against the least that they can cost (SCENARIOS="fanout idle": those alone)
	$(BIN)/python -m bench $(SCENARIOS)

bench-all: bench bench-auth bench-php bench-presence ## Measure everything there is a measurement of

soak: $(DONE)/bench $(DONE)/servers ## Have clients come and go for half an hour, and see that nothing of them stays (SOAK="--bus redis --minutes 5")
	$(BIN)/python -m bench.soak $(SOAK)

bench-presence: $(DONE)/dev ## Measure what presence costs, and how many joins one nats-server absorbs
	$(BIN)/python -m bench.presence
	$(BIN)/python -m bench.presence --storm

bench-auth: $(DONE)/dev $(DONE)/php ## Measure what the auth service adds to php-fpm, and how much it bears
	$(BIN)/python -m bench.auth

bench-php: $(DONE)/dev $(DONE)/php ## Measure how fast one PHP process publishes
	$(BIN)/python -m bench.php_publish

proto: $(DONE)/dev ## Regenerate the code of proto/
	$(call generate,proto)

proto-check: $(DONE)/dev ## Fail where the generated code is not what its .proto says
	@rm -rf $(GENERATED) && mkdir -p $(GENERATED)
	@cd proto && find . -type f -not -name '*_pb2*' -exec cp --parents {} ../$(GENERATED) \;
	@$(call generate,$(GENERATED))
	diff -ru --exclude=__pycache__ proto $(GENERATED)

# $(1) is the folder that holds pogo/rpc/v1/*.proto and gets the code beside them.
generate = cd $(1) && export PATH="$(abspath $(BIN)):$$PATH" && protos=pogo/rpc/v1/*.proto \
  && python -m grpc_tools.protoc -I. --python_out=. --mypy_out=quiet:. $$protos \
  && python -m grpc_tools.protoc -I. --grpc_python_out=. --mypy_grpc_out=quiet:. \
    $$(grep -l '^service ' $$protos)

wheel: $(BIN)/pip ## Build the wheel into dist/
	rm -rf dist
	$(BIN)/pip wheel --quiet --no-deps --wheel-dir dist .

clean: ## Remove all that make and the tests have made
	rm -rf $(VENV) $(DONE) speedups/build speedups/*.egg-info $(E2E)/node_modules dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*
	find . -name __pycache__ -prune -exec rm -rf {} +

$(DONE):
	@mkdir -p $@

$(BIN)/pip:
	@PYTHON="$(PYTHON)" scripts/need-packages python3-venv ca-certificates
	$(PYTHON) -m venv $(VENV)

$(DONE)/run: $(BIN)/pip pyproject.toml | $(DONE)
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(DONE)/dev: $(BIN)/pip pyproject.toml | $(DONE)
	$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $(DONE)/run $@

$(DONE)/bench: $(DONE)/dev scripts/need-packages
	@scripts/need-packages gcc libc6-dev libssl-dev
	$(BIN)/pip install --quiet --editable '.[dev,bench]'
	@touch $@

$(DONE)/compiler: scripts/need-packages | $(DONE)
	@PYTHON="$(PYTHON)" scripts/need-packages gcc libc6-dev libssl-dev python3-dev
	@touch $@

$(DONE)/speedups: $(BIN)/pip $(DONE)/compiler $(wildcard speedups/*.c speedups/*.toml)
	$(BIN)/pip install --quiet ./speedups
	@touch $@

$(DONE)/servers: scripts/need-packages | $(DONE)
	@scripts/need-packages redis-server openssl systemd
	@touch $@

# With promtool, which tests the rules of alerts.
$(DONE)/prometheus: scripts/need-packages | $(DONE)
	@scripts/need-packages prometheus
	@touch $@

$(DONE)/valgrind: scripts/need-packages | $(DONE)
	@scripts/need-packages valgrind
	@touch $@

$(DONE)/php: scripts/need-packages | $(DONE)
	@scripts/need-packages php-cli php-fpm php-curl php-mbstring php-xml php-sqlite3 \
	  php-laravel-framework php-google-protobuf protobuf-compiler composer phpunit php-codesniffer nginx-light
	@touch $@

$(DONE)/browser: scripts/need-packages | $(DONE)
	@scripts/need-packages nodejs npm chromium
	@touch $@

# Reads compose files, and needs no engine for that.
$(DONE)/docker-compose: | $(DONE)
	@scripts/need-compose $(DONE)

$(DONE)/engine: scripts/need-packages | $(DONE)
	@docker info >/dev/null 2>&1 || { scripts/need-packages docker.io iptables debootstrap && touch $@; }

$(CLIENTS): $(E2E)/package-lock.json | $(DONE)/browser
	cd $(E2E) && npm ci
	@touch $@
