# `make demo` and `make test` need only Python and a package index: each does all the set-up itself.
VENV   := .venv
PYTHON := $(VENV)/bin/python
STAMP  := $(VENV)/.ready
# uv from the PATH, else one of our own in a private environment
UV     := $(shell command -v uv 2>/dev/null || echo .uv/bin/uv)
export HF_HUB_OFFLINE ?= 1
# A module's tests stay together, since what they share is made once a module; in the order of tests/conftest.py. Three
# workers on two cores: a quarter of the time the tests wait, for processes that they started above all.
TESTS  := pytest -n 3 --dist loadfile --no-loadscope-reorder
# of each of the fuzzed targets; with the slow ones' shares a million in all
RUNS   ?= 60000

.PHONY: help setup demo fiqa real real-model test thorough package trackers workers release lowest check format bench chaos fuzz properties simulate architectures notebook lock clean

help:            ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: $(STAMP)  ## make .venv with everything pinned in requirements*.txt

.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

$(STAMP): requirements.txt requirements-dev.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python 3.12 $(VENV)
	$(UV) pip install --quiet --python $(PYTHON) --compile-bytecode --require-hashes -r requirements.txt -r requirements-dev.txt
	$(UV) pip install --quiet --python $(PYTHON) --no-deps --editable .
	@touch $@

demo: setup      ## a small base model and four adapters, evaluated and compared
	$(VENV)/bin/loralift demo

# FiQA's test questions where they lie at hand; else the hub sends them
FIQA ?= $(wildcard ../shared/fiqa/test.jsonl)
fiqa: setup      ## a real small model and two real adapters on FiQA; LIMIT=100 for a first look, FIQA=FILE without the hub
	PATH="$$PATH:$(CURDIR)/.uv/bin" HF_HUB_OFFLINE=$(if $(FIQA),1,0) $(VENV)/bin/loralift demo --real \
		$(if $(FIQA),--dataset $(FIQA)) $(if $(LIMIT),--limit $(LIMIT))

real: real-model  ## the tests on real weights, some minutes
	OMP_NUM_THREADS=2 $(PYTHON) -m pytest -m real tests/demo

real-model: setup
	PATH="$$PATH:$(CURDIR)/.uv/bin" $(PYTHON) -c "from loralift.demo.real import fetch_model; fetch_model(print)"

test: setup      ## the tests, but for the thorough ones and those on real weights
	$(PYTHON) -m $(TESTS) -m "not real and not thorough"

thorough: setup  ## the demo and the notebook as a whole, chaos, an architecture of each kind, whole runs under a watch for the network
	$(PYTHON) -m $(TESTS) -m "thorough and not gpu"

# what `pip install loralift` brings, in an environment with nothing else
package: | $(UV) ## build wheel and sdist, check what an index shows of them, and try the wheel without its extras
	rm -rf dist .package
	$(UV) build --quiet
	$(UV) tool run --quiet --from 'twine>=6' twine check --strict dist/*
	$(UV) venv --quiet --python 3.12 .package
	$(UV) pip install --quiet --python .package/bin/python -c requirements.txt dist/*.whl
	.package/bin/python tools/try_light.py

trackers: .trackers/.ready  ## write to MLflow, W&B (offline) and Trackio and read back by their own clients
	.trackers/bin/python -m pytest --confcutdir=tests/tracking tests/tracking

# the light package and the trackers, nothing else; apart, since Trackio wants an older pillow than the rest
.trackers/.ready: requirements-trackers.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python 3.12 $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --compile-bytecode --require-hashes -r requirements-trackers.txt
	$(UV) pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
release: | $(UV) ## check, test, build and send a tagged commit to the package index, for who may (UV_PUBLISH_TOKEN)
	@test -z "$$(git status --porcelain)" || { echo "commit first: what is released is a commit"; exit 2; }
	@test "$$(git describe --exact-match --match 'v*' 2> /dev/null)" = "v$(VERSION)" \
		|| { echo "tag this commit first: git tag v$(VERSION)"; exit 2; }
	$(MAKE) check test package
	$(UV) publish dist/*

workers: .ray/.ready  ## the tests of Ray's workers, with Ray
	.ray/bin/python -m pytest tests/generation/ray

.ray/.ready: requirements.txt requirements-dev.txt requirements-ray.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python 3.12 $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --compile-bytecode --require-hashes \
		-r requirements.txt -r requirements-dev.txt -r requirements-ray.txt
	$(UV) pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

lowest: .lowest/.ready  ## all tests on the lowest torch, transformers and PEFT that pyproject.toml admits
	.lowest/bin/python -m $(TESTS) -m "not real"

# the pins of everybody, then the few lower ones over them
.lowest/.ready: requirements.txt requirements-dev.txt requirements-lowest.txt pyproject.toml | $(UV)
	$(UV) venv --quiet --allow-existing --python 3.12 $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --require-hashes -r requirements.txt -r requirements-dev.txt
	$(UV) pip install --quiet --python $(@D)/bin/python --compile-bytecode --require-hashes --no-deps -r requirements-lowest.txt
	$(UV) pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

check: setup     ## style, types, the rooms' borders, sizes of files and functions, known vulnerabilities of what is pinned
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports
	$(PYTHON) -m pytest tests/test_house_style.py
	$(PYTHON) tools/audit.py requirements.txt requirements-dev.txt

format: setup    ## let ruff mend what it can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

bench: setup .bench/lm_eval/.ready  ## LoraLift beside its rivals on this machine, then scoring, three quarters of an hour: benchmarks/results
	$(PYTHON) -m benchmarks
	$(PYTHON) -m benchmarks.scoring --rounds 1 --out benchmarks/results/scoring.json

.bench/lm_eval/.ready: benchmarks/requirements-rivals.txt | $(UV)
	$(UV) venv --quiet --allow-existing --python 3.12 $(@D)
	$(UV) pip install --quiet --python $(@D)/bin/python --compile-bytecode --require-hashes -r $<
	@touch $@

chaos: setup     ## 100 runs killed and starved at random moments, full disks, orphans, a quarter of an hour
	$(PYTHON) -m benchmarks.chaos

simulate: setup  ## the simulations behind docs/statistics.md, three quarters of an hour
	$(PYTHON) -m benchmarks.verdicts
	$(PYTHON) -m benchmarks.protocols
	$(PYTHON) -m benchmarks.sweeping
	$(PYTHON) -m benchmarks.stopping

# atheris has no part in LoraLift, and no wheel for every system: it lies beside the environment
fuzz: setup .fuzz/.ready  ## feed everything that reads or shows with spoiled inputs; RUNS of each target, FUZZ=--plain without atheris
	PYTHONPATH=.fuzz $(PYTHON) -m benchmarks.fuzzing --runs $(RUNS) $(FUZZ)

.fuzz/.ready: benchmarks/requirements-fuzzing.txt | $(UV)
	$(UV) pip install --quiet --python $(PYTHON) --require-hashes --target $(@D) -r $<
	@touch $@

properties: setup  ## the property tests with fifty times as many examples, others each time
	HYPOTHESIS_PROFILE=long $(PYTHON) -m pytest tests/properties

architectures: setup  ## every causal LM of transformers beside plain generate and PEFT, half an hour: docs/architectures.md
	CUDA_VISIBLE_DEVICES= OMP_WAIT_POLICY=PASSIVE $(PYTHON) -m benchmarks.architectures --out docs/architectures.md

notebook: real-model  ## execute the notebook from scratch and save it with its outputs
	PATH="$$PATH:$(CURDIR)/.uv/bin" FIQA=$(if $(FIQA),$(abspath $(FIQA)),fiqa) $(PYTHON) tools/run_notebook.py examples/nemotron_fiqa_evaluation.ipynb

lock: | $(UV)    ## pin again: requirements.txt for users, -dev.txt for the rest, -lowest.txt for make lowest, the trackers, Ray, the benchmarks' rivals, the fuzzer
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra run pyproject.toml -o requirements.txt
	$(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links --extra run --extra dev --extra offline --extra bitsandbytes --extra gguf --extra lm-eval \
		-c requirements.txt pyproject.toml -o requirements-dev.txt
	python3 tools/only_the_rest.py requirements.txt requirements-dev.txt
	cp requirements.txt requirements-lowest.txt  # uv keeps the pins that it finds there, where it can
	sed -nE 's/^ *"(torch|transformers|peft)>=([0-9.]+),.*/\1==\2/p' pyproject.toml | $(UV) pip compile --quiet --universal \
		--python-version 3.12 --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		--extra run pyproject.toml - -o requirements-lowest.txt
	python3 tools/only_the_rest.py requirements.txt requirements-lowest.txt
	echo pytest pytest-timeout | tr ' ' '\n' | $(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links --extra mlflow --extra wandb --extra trackio -c requirements.txt \
		pyproject.toml - -o requirements-trackers.txt
	echo 'ray==2.51.1' | $(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header --no-annotate \
		--no-emit-index-url --no-emit-find-links -c requirements.txt -c requirements-dev.txt - -o requirements-ray.txt
	python3 tools/only_the_rest.py requirements.txt requirements-ray.txt
	echo 'lm-eval[hf]' rouge-score | tr ' ' '\n' | $(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links -c requirements.txt - -o benchmarks/requirements-rivals.txt
	echo atheris | $(UV) pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header \
		--no-annotate --no-emit-index-url --no-emit-find-links - -o benchmarks/requirements-fuzzing.txt

clean:           ## remove what make made
	rm -rf $(VENV) .uv .bench dist .package .lowest .trackers .ray .fuzz .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
