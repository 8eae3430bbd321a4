# Two commands matter: `make run` starts the service, `make test` tests it. Both install what they need first.

bin := .venv/bin
pip_install := $(bin)/python -m pip install --quiet --no-input --disable-pip-version-check --require-hashes
pip_compile := $(bin)/pip-compile --quiet --strip-extras --generate-hashes --allow-unsafe \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host
# Tests that share one running service stay in one process.
pytest := $(bin)/python -m pytest --numprocesses auto --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help setup run test test-slow check format bench openapi lifecycle lock

help: ## Show the commands.
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: .venv/.installed-dev ## Make .venv with everything that running, testing and changing the service needs.

run: .venv/.installed ## Start the service; ARGS="--port 9000" passes options on.
	@$(bin)/python manage.py serve $(ARGS)

test: .venv/.installed-dev ## Run the test suite over all cores.
	$(pytest) $(ARGS)

test-slow: .venv/.installed-dev ## Run the large simulations and the fuzzing.
	$(pytest) -m slow $(ARGS)

check: .venv/.installed-dev ## Check style, types, import contracts, settings, migrations and openapi.yaml.
	$(bin)/ruff check .
	$(bin)/ruff format --check .
	$(bin)/mypy .
	$(bin)/lint-imports
	$(bin)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	BEHIND_TLS_PROXY=true $(bin)/python manage.py check --deploy --fail-level WARNING
	@mkdir -p build
	$(bin)/python manage.py spectacular --fail-on-warn --validate --file build/openapi.yaml
	diff -u openapi.yaml build/openapi.yaml || { echo "openapi.yaml is out of date: run \`make openapi\`"; exit 1; }

format: .venv/.installed-dev ## Put the code into the common form.
	$(bin)/ruff check --fix .
	$(bin)/ruff format .

bench: .venv/.installed-dev ## Measure the service against its floor (docs in benchmarks/README.md).
	$(bin)/python -m benchmarks $(ARGS)

openapi: .venv/.installed-dev ## Write openapi.yaml anew.
	$(bin)/python manage.py spectacular --fail-on-warn --validate --file openapi.yaml

lifecycle: .venv/.installed-dev ## Write the table of docs/lifecycle.md anew.
	$(bin)/python manage.py lifecycle_table

lock: .venv/.installed-dev ## Lock the dependencies of pyproject.toml; ARGS="--upgrade" takes newer versions.
	$(pip_compile) $(ARGS) --output-file requirements.lock pyproject.toml
	$(pip_compile) $(ARGS) --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml

# --- Installation: what is installed is remembered in .venv, so that doing it again costs nothing ---------------

.venv/bin/python:
	@for python in $(PYTHON) python3.11 python3 python3.12 python3.13; do \
		if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making .venv with $$("$$python" --version)"; exec "$$python" -m venv --clear .venv; \
		fi; \
	done; \
	echo "Python 3.11 or newer is needed. Install it, or name it: make PYTHON=/path/to/python3.11 ..." >&2; exit 1

.venv/.installed: requirements.lock .venv/bin/python
	@echo "Installing the service (once, about half a minute)"
	@$(pip_install) --requirement requirements.lock
	@touch $@

# The tools' lock holds the service's packages too, in the same versions.
.venv/.installed-dev: requirements-dev.lock requirements.lock .venv/bin/python
	@echo "Installing the service and its development tools (once, about a minute)"
	@$(pip_install) --requirement requirements-dev.lock
	@touch .venv/.installed $@
