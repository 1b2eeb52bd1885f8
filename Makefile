# One word a job, the same word in CI. `make run` works on a bare Debian or Ubuntu with Python 3.11+.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --quiet --disable-pip-version-check
EXTENSIONS := setup.py pyproject.toml $(wildcard ext/*.pyx ext/*.pxd ext/*.h)
export PATH := $(CURDIR)/$(BIN):$(PATH):/usr/local/go/bin

.PHONY: setup run check test test-images bench docs build debug

setup: $(VENV)/.installed   ## compile and install into .venv

run: setup                  ## serve on 127.0.0.1:8080 into ./data
	@FILELOFT_BIND=$${FILELOFT_BIND:-127.0.0.1:8080} FILELOFT_DATA_DIR=$${FILELOFT_DATA_DIR:-data} \
		exec $(BIN)/fileloft-fast

check: $(VENV)/.dev         ## everything that reads the code without running it
	ruff check .
	ruff format --check .
	mypy
	python -m mypy.stubtest fileloft_fast.dataplane
	cython-lint ext
	lint-imports
	codespell
	hadolint Dockerfile
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet

test: $(VENV)/.test         ## every test, real clients included
	@.ci/system-packages test "$(PYTHON)"
	tests/clients/prepare && tests/stores/prepare && tests/pages/prepare && benchmarks/compare/prepare
	pytest --numprocesses=2 --dist=loadfile --benchmark-disable # most of a test is waiting

test-images: $(VENV)/.test  ## the Dockerfile's steps in a Debian root, and each image started; wants root
	@.ci/system-packages images "$(PYTHON)"
	tests/stores/prepare
	python -m tests.images.rehearse

bench: $(VENV)/.test        ## servers side by side, into docs/, then regressions; 10 quiet minutes
	@.ci/system-packages test "$(PYTHON)" && .ci/system-packages bench "$(PYTHON)"
	python -m benchmarks.compare $(if $(SERVERS),--servers $(SERVERS))
	python -m benchmarks.micro
	python -m benchmarks.instructions

docs: $(VENV)/.dev          ## the documentation, into site/
	mkdocs build --strict

build: $(VENV)/.dev         ## wheel and sdist, into dist/
	python -m build

debug: $(VENV)/.dev         ## recompile in place with assertions and without optimisation
	FILELOFT_BUILD=debug python setup.py --quiet build_ext --inplace --force

docker-build-all: $(addprefix docker-build-,fs s3 gcs azure) ;
docker-build-%:             ## the image of one backend
	docker build --target $* --tag fileloft-fast:$* $(if $(filter fs,$*),--tag fileloft-fast:latest) \
		--build-arg VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml) \
		--build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .

$(VENV)/.made: .ci/system-packages
	@.ci/system-packages build "$(PYTHON)"
	test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV)
	$(PIP) install 'pip>=25.1'
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(EXTENSIONS)
	$(PIP) install --editable . && touch $@

$(VENV)/.dev $(VENV)/.test: $(VENV)/.%: $(VENV)/.installed
	$(PIP) install --group $*
	@touch $@
