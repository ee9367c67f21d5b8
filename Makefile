# What a developer runs. Each target makes the environment it needs; `make` alone lists them.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$python; break; }; done)

.PHONY: help demo test test-faults test-containers compiled test-compiled fuzz lint docs site image bench bench-refresh bench-scale
.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' Makefile

demo: .venv/.installed ## three Django apps behind the gateway on 127.0.0.1:8080 (ARGS=--check: try it and end)
	@exec .venv/bin/python -B -m examples.demo $(ARGS)

# Only all tests together can tell the coverage; ARGS picks some of them. Tests that wait leave room
# for others: two processes, in files and in their order, since what a file shares it makes once.
test: .venv/.installed-dev ## all tests with their coverage (ARGS="tests/wire -k crit": some, without)
	@.venv/bin/python -m pytest $(or $(ARGS),\
	-n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=term --cov-fail-under=95)

test-faults: .venv/.installed-dev ## the token life cycle under fire, with figures (they are part of `test` too)
	@.venv/bin/python -m pytest tests/faults $(ARGS)

test-containers: .venv/.installed-dev ## images and compose.yaml, built and run (root, podman, buildah, mmdebstrap)
	@TEST_CONTAINERS=1 .venv/bin/python -m pytest tests/deploy $(ARGS)

compiled: build/compiled/.made ## the hot modules compiled with mypyc, into build/compiled (needs a C compiler)

test-compiled: build/compiled/.made ## the data path's tests over the compiled modules
	@cd build/compiled && ../../.venv/bin/python -m pytest $(or $(ARGS),tests/edge tests/upstream tests/test_authentication.py)

build/compiled/.made: .venv/.installed-dev setup.py $(shell find gateway tests -name '*.py')
	@rm -rf build/compiled && mkdir -p build/compiled
	@tar --create --exclude=./build --exclude=./.git --exclude='./.venv' --exclude=__pycache__ . | tar --extract --directory build/compiled
	@cd build/compiled && GATEWAY_COMPILE=1 ../../.venv/bin/python setup.py -q build_ext --inplace 2>&1 \
	| grep -v 'Treating generator comprehension as list' || true
	@ls build/compiled/gateway/proxy.*.so >/dev/null && touch $@

fuzz: .venv/.installed-dev ## ten minutes of fuzzing the protocol (ARGS="--seconds 60")
	@.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --editable '.[fuzz]'
	.venv/bin/python -B -m tests.fuzz $(ARGS)

lint: .venv/.installed-dev ## formatting, ruff, mypy --strict, import-linter
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: .venv/.installed-dev ## write the generated parts of docs/ and config.schema.json anew
	.venv/bin/python -m docs.reference
	.venv/bin/gateway schema > config.schema.json

site: .venv/.installed-dev ## docs/ as a site, into build/site (ARGS="--site-dir DIR": elsewhere)
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict $(ARGS)

# What stands for the official base in the tests of images: this machine's Debian, without what slim
# images leave out.
build/base.tar:
	@mkdir -p build
	@mmdebstrap --quiet --variant=minbase --include=python3,python3-venv,ca-certificates --format=tar \
		$(foreach part,doc info locale man,--dpkgopt='path-exclude=/usr/share/$(part)/*') \
		"$$(. /etc/os-release && echo "$$VERSION_CODENAME")" $@.part && mv $@.part $@

image: ## the container image gateway:VERSION (ARGS="--build-arg BASE=…@sha256:…": on another base)
	@if docker info >/dev/null 2>&1; then build="docker build"; \
	elif command -v buildah >/dev/null; then build="buildah build --format docker"; \
	else echo "docker or buildah is needed" >&2; exit 1; fi; \
	version=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml); \
	$$build --tag localhost/gateway:$$version --tag localhost/gateway:latest \
		--build-arg GATEWAY_VERSION=$$version --build-arg REVISION=$$(git rev-parse HEAD) $(ARGS) .

bench-scale: .venv/.installed-dev ## many workers that follow one store, and its memory a million sessions
	.venv/bin/python -m bench.scale $(ARGS)

bench: .venv/.installed-bench ## the data path against its peers, which it installs (ARGS=--quick: in 3 minutes)
	@.venv/bin/python -m bench.install
	.venv/bin/python -m bench $(ARGS)

bench-refresh: .venv/.installed-dev ## refreshes per second and bytes per session against simplejwt
	.venv/bin/python -m bench.refresh $(ARGS)

# The gateway's own environment: what it needs to run, then what its developers need.
.venv/.installed: pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "Python 3.11 or later is needed and was not found; name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "gateway    creates its environment .venv and installs its requirements"
	@test -x .venv/bin/pip || "$(PYTHON)" -m venv .venv
	@start=$$(date +%s); .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --editable . \
	&& echo "gateway    installed in $$(($$(date +%s) - start)) s"
	@touch $@

.venv/.installed-dev: .venv/.installed
	@echo "gateway    installs what its developers need"
	@.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --editable '.[dev]'
	@touch $@

.venv/.installed-bench: .venv/.installed-dev
	@echo "gateway    installs the peers of the benchmark"
	@.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --editable '.[bench]'
	@touch $@
