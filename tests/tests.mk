# SPDX-License-Identifier: MIT
#
# Tests and the demo; included by the Makefile.
#
#   make check           what is in SUITES; last line "N passed, M failed, K skipped"
#   make check-unit      unprivileged and offline, under a minute
#   make check-san       the same with ASan and UBSan
#   make check-live      root: real eBPF, real clients, msp-host
#   make check-layers    include graph, names, exported symbols
#   make check-examples  examples/ do what they say
#   make check-host      msp-host alone, on loopback, unprivileged
#   make check-man       man/ is well formed and says what the code does
#   make check-install   what is installed can be built against, and removed
#   make check-valgrind  unit tests under valgrind
#   make fuzz SECONDS=60 libFuzzer on each of tests/fuzz/fuzz_*.c
#   make demo            the whole path, on screen

SUITES	?= layers unit examples host man install san live
SECONDS	?= 60
JOBS	?= $(shell nproc 2>/dev/null || echo 1)
TALLY	?= $(O)/tally
UNITNAME := $(if $(SAN),san,unit)
PARALLEL = $(if $(findstring j,$(firstword -$(MAKEFLAGS))),,-j$(JOBS))
SUITE	= $(Q)V=$(V) tests/tally.sh run $(TALLY)

.PHONY: deps demo check check-unit check-san check-live check-layers \
	check-examples check-man check-install check-host check-valgrind fuzz \
	unit-programs

deps:
	$(Q).ci/deps

# What follows deps runs in a make of its own, because this one looked for
# the tools before deps installed them.
demo: deps
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) all
	$(Q)examples/demo.sh $(O)

check: deps
	$(Q)rm -rf $(TALLY)
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) all unit-programs
	+$(Q)for suite in $(SUITES); do \
		$(MAKE) --no-print-directory TALLY=$(TALLY) check-$$suite \
			|| :; \
	done
	@tests/tally.sh sum $(TALLY) $(SUITES)

unit-programs: $(UNIT) $(FUZZ)

check-unit: unit-programs
	$(SUITE) $(UNITNAME) tests/unit.sh $(UNIT) $(FUZZ)

check-san:
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) SAN=1 O=$(O)-san \
		TALLY=$(abspath $(TALLY)) unit-programs
	+$(Q)$(MAKE) --no-print-directory SAN=1 O=$(O)-san \
		TALLY=$(abspath $(TALLY)) check-unit

check-valgrind: unit-programs
	$(SUITE) valgrind env UNDER=valgrind tests/unit.sh $(UNIT)

check-layers: all
	$(SUITE) layers python3 tests/layers.py $(O)

check-examples: all
	$(SUITE) examples tests/examples.sh $(O)

check-host: all
	$(SUITE) host env LD_LIBRARY_PATH=$(O) python3 \
		tests/live/host_selftest.py $(O)/examples/msp-host/msp-host

check-man: all
	$(SUITE) man python3 tests/man.py $(O)

check-install: all
	$(SUITE) install tests/install.sh $(O)

check-live: all
	$(SUITE) live python3 tests/live/run.py $(O)

# ---- libFuzzer: everything instrumented, hence objects of its own ----------
FUZZ_O	:= $(O)/libfuzzer
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	   -fno-sanitize-recover=all
FUZZERS	:= $(patsubst tests/fuzz/%.c,$(FUZZ_O)/%,$(wildcard tests/fuzz/fuzz_*.c))

$(FUZZ_O)/obj/%.o: %.c | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPOURS) -std=c11 $(FUZZ_FLAGS) -MMD -MP -MT $@ \
		-c $< -o $@
$(FUZZERS): $(FUZZ_O)/%: $(FUZZ_O)/obj/tests/fuzz/%.o \
		$(LIB_SRC:%.c=$(FUZZ_O)/obj/%.o)
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ \
		$(call DEP_LIB,--libs)

# libFuzzer writes what it finds into the first directory it is given: that
# must not be the corpus.
fuzz: $(FUZZERS)
	$(Q)for f in $(FUZZERS); do \
		n=$${f##*/fuzz_}; found=$(FUZZ_O)/found/$$n; \
		mkdir -p $$found; \
		$$f -max_total_time=$(SECONDS) -print_final_stats=1 \
			-timeout=10 -artifact_prefix=$(FUZZ_O)/ $$found \
			tests/fuzz/corpus/$$n >$$found.log 2>&1 || \
			{ tail -n 60 $$found.log; exit 1; }; \
		printf '  %-7s %-20s %10s runs\n' FUZZ $$n \
			$$(sed -n 's/^stat::number_of_executed_units: *//p' \
			$$found.log); \
	done
