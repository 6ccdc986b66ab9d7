# SPDX-License-Identifier: MIT
#
# libmsp, mspd and msp-host. One file, no recursion into folders, no configure.
#
#   make [V=1] [O=build] [CC=] [SAN=1] [WERROR=1]  build everything
#   make lib             the library alone
#   make demo                            the main job, on the built-in host
#   make check           what is in SUITES; last line "N passed, M failed, K skipped"
#   make check-tally     what counts and tells the results of these
#   make check-unit      unprivileged and offline, under a minute
#   make check-san       the same with ASan and UBSan
#   make check-tsan      threads under ThreadSanitizer, two minutes
#   make lint            the library in the eyes of clang-tidy, cppcheck and
#                        gcc -fanalyzer, five minutes
#   make check-live      root: real eBPF, real clients, msp-host
#   make check-scenarios root: what Azure may do in a day, hour by hour, 60
#                        times faster, while clients keep asking
#   make check-layers    include graph, names, exported symbols, what comments
#                        of calls have to say
#   make check-abi       programs built with the library before still run with
#                        it (10 seconds; needs abidiff)
#   make abi-baseline    promise what is there now
#   make check-examples  examples/ do what they say
#   make check-ctl       mspctl: its answers, and what it makes of bad input
#   make check-host      msp-host alone, on loopback, unprivileged
#   make check-redact [COUNT=5000 SEED=1]  secrets in texts, against slow regular
#                        expressions
#   make check-rules     a second engine, faults and spellings against the first
#   make check-rules-long [COUNT=1000000 SEED=1]  the same with more cases
#   make check-man       man/ is well formed and says what the code does
#   make check-install   what is installed can be built against, and removed
#   make check-deb       Debian packages, in a root directory of their own
#   make check-package   root: the same in whole Debian systems (debootstrap, and
#                        the network the first time)
#   make check-package-full  and on a machine in namespaces, with systemd
#   make check-valgrind  unit tests under valgrind
#   make check-kernels [KERNELS=trixie]  Debian's kernels in QEMU, from 6.1 on
#   make check-arm64     all for arm64: unit tests and examples under QEMU, and
#                        the agent on Debian's kernels (7 minutes; needs the
#                        network; says what to install)
#   make coverage        lines and branches of the core that unit tests and
#                        corpora reach; fails below 95 % and 85 %
#   make bench [QUICK=1] [ONLY='WORD...'] [AGENTS=1000]  root: what it costs,
#                        beside nginx, haproxy and a bare relay, as tables and
#                        bench.json (15 minutes; QUICK: 2; says what to install);
#                        README=1 puts them into README.md
#   make soak [MINUTES=20 AGENTS=300 SEED=1]  root: at real speed, the long
#                        scenarios, a fleet among resets and faults, and then
#                        soak-abuse
#   make soak-abuse [MINUTES=30 SEED=1 BROKEN=]  root: half of what the agent
#                        can do, among clients that misbehave: no wrong answer,
#                        no request without a record, nothing that grows.
#                        BROKEN=1: of an agent that leaks, and must fail
#   make chaos [CHAOS_SECONDS=1200 CHAOS_SEED=]  root: an agent that is killed a
#                        thousand times, while disk, memory, clock, host and
#                        kernel fail and callers ask: nothing torn, lost, unsigned
#                        or given to one without a right
#   make check-mutants [MUTANTS='WORD...']  root: behaviours taken out, one at
#                        a time; the scenario of each must fail
#   make fuzz SECONDS=60 [FUZZ_ONLY='key json']  libFuzzer on each of
#                        tests/fuzz/fuzz_*.c, with the words of its *.dict
#   make install DESTDIR= PREFIX= LIBDIR= INCLUDEDIR= SBINDIR= BINDIR= MANDIR=
#   make uninstall, uninstall-tools  take it away again, by the same variables
#   make install-tools   msp-host, for those who try and test agents
#   make install-service mspd's unit, and a configuration if there is none
#   make install-compat  the agent under the names of Azure's
#   make deb             Debian packages of all these, in build/deb/

.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

O	?= build$(if $(SAN),-san)
CC	?= cc
CLANG	?= clang
PKG_CONFIG ?= pkg-config
# Ubuntu's bpftool is a wrapper that wants the tools of the running kernel.
# Debian's is where only root's PATH looks.
BPFTOOL	?= $(firstword $(wildcard /usr/lib/linux-tools/*/bpftool \
	   /usr/sbin/bpftool) bpftool)
PREFIX	?= /usr/local
LIBDIR	?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR	?= $(PREFIX)/bin
SBINDIR	?= $(PREFIX)/sbin
MANDIR	?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
UNITDIR	?= $(PREFIX)/lib/systemd/system
INSTALL	?= install

Q	:= $(if $(V),,@)
say	= $(if $(V),,@printf '  %-7s %s\n' '$1' '$(patsubst $(O)/%,%,$2)')

# ---- version: version.h is the only place ---------------------------------
VERSION	:= $(shell sed -n 's/.*MSP_VERSION "\(.*\)".*/\1/p' include/msp/version.h)
MAJOR	:= $(firstword $(subst ., ,$(VERSION)))
MINOR	:= $(word 2,$(subst ., ,$(VERSION)))
MAPNODE	:= $(shell sed -n 's/^LIBMSP_\([0-9.]*\).*/\1/p' libmsp/libmsp.map | tail -n 1)
ifneq ($(MAPNODE),$(MAJOR).$(MINOR))
$(error version.h says $(VERSION), the last node of libmsp.map is $(MAPNODE))
endif
SONAME	:= libmsp.so.$(MAJOR)
SHLIB	:= libmsp.so.$(VERSION)

# ---- flags: the user's stay the user's, ours stand beside them ------------
CFLAGS	?= $(if $(SAN),-O1,-O2) -g
# What compilers do not all know, one option or several.
takes	= $(shell $(CC) -Werror $1 -c -o /dev/null -x c /dev/null 2>/dev/null \
	   && echo '$1')
# What -O2 is for all that no request passes through; SMALL= leaves it -O2.
ifeq ($(origin SMALL),undefined)
SMALL	:= $(or $(call takes,-Oz),-Os)
endif
WARN	:= -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes \
	   -Wmissing-prototypes -Wpointer-arith -Wwrite-strings -Wvla \
	   -Wformat=2 -Wundef
HARDEN	:= -fstack-protector-strong -fno-strict-aliasing \
	   $(if $(SAN)$(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),, \
	   -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(SAN),-fsanitize=address -fsanitize=undefined \
	   -fno-sanitize-recover=all -fno-omit-frame-pointer)
# Nothing is thrown through us, as libmsp.3 says: an eighth of what is loaded
# would be tables for that. Debuggers have theirs with -g; CFLAGS come later, so
# -fasynchronous-unwind-tables there is obeyed. All is bound at the start (-z
# now), so calls need no stubs; where leaving them out makes calls longer they
# stay. Padding before loops and jumps makes nothing of ours faster.
LEAN	:= $(if $(SAN),,-fno-asynchronous-unwind-tables \
	   $(call takes,-falign-loops=1 -falign-jumps=1 -falign-labels=1) \
	   $(if $(findstring x86_64,$(shell $(CC) -dumpmachine)),-fno-plt))
# Addresses that are adapted when it is loaded are packed, where linker and C
# library know of that.
RELR	= $(eval RELR := $$(if $$(SAN),,$$(shell $$(FIND_RELR))))$(RELR)
FIND_RELR = libc=`$(CC) -print-file-name=libc.so.6`; \
	  flag=-Wl,-z,pack-relative-relocs; \
	  grep -qs GLIBC_ABI_DT_RELR $$libc && $(CC) -shared $$flag \
	  -Wl,--fatal-warnings -o /dev/null -x c /dev/null 2>/dev/null && \
	  echo $$flag
OURS	:= -std=c11 $(WARN) $(if $(WERROR),-Werror) $(HARDEN) $(SANFLAGS) \
	   -fPIC -fvisibility=hidden $(LEAN) -MMD -MP
CPPOURS	:= -D_GNU_SOURCE -Iinclude -I. -isystem $(O)
LDOURS	= -Wl,-z,relro,-z,now -Wl,--as-needed $(SANFLAGS) $(RELR)
# A call of the library to itself is not somebody else's to answer.
LDSHARED := -Wl,-Bsymbolic-functions
DEP_LIB	= $$($(PKG_CONFIG) $1 libcrypto yajl libbpf zlib)
DEP_MHD	= $$($(PKG_CONFIG) $1 libmicrohttpd)
DEP_YAJL = $$($(PKG_CONFIG) $1 yajl)
DEP_CHECK = $$($(PKG_CONFIG) $1 check)
CRYPTO	= $$($(PKG_CONFIG) $1 libcrypto)
# The archive has another name than the shared library, which yajl.pc does not
# know.
YAJL_STATIC = $(if $(findstring /,$(shell $(CC) \
	   -print-file-name=libyajl_s.a)),-lyajl_s,$(call DEP_YAJL,--libs))

# ---- sources --------------------------------------------------------------
LIB_SRC	:= $(wildcard libmsp/*.c)
LIB_OBJ	:= $(LIB_SRC:%.c=$(O)/%.o)
MSPD_SRC := $(wildcard mspd/*.c)
MSPD_OBJ := $(MSPD_SRC:%.c=$(O)/%.o)
CTL_SRC	:= $(wildcard mspd/ctl/*.c)
CTL_OBJ	:= $(CTL_SRC:%.c=$(O)/%.o)
# Of the agent: how it reads its configuration, and hides secrets.
CTL_SHARED := $(addprefix $(O)/mspd/,config.o config_json.o config_value.o \
	   level.o listener_text.o redact.o redact_option.o text.o)
MSPCTL	:= $(O)/mspd/ctl/mspctl
# For speed: what looks at each byte of a request, or at each request.
HOT	:= $(addprefix libmsp/,arena ascii buffer canon client date decision \
	   http_parse http_write mem peer request% rules signer% text) \
	   $(addprefix mspd/,audit% call door fair forward hold http_check \
	   identity loop policy programs proxy rate resolver server% \
	   summary text upstream)
$(filter-out $(HOT:%=$(O)/%.o),$(LIB_OBJ) $(MSPD_OBJ) $(CTL_OBJ)): \
	SIZE = $(if $(filter -O2,$(CFLAGS)),$(SMALL))
HOST_SRC := $(wildcard examples/msp-host/*.c examples/msp-host/*/*.c)
HOST_OBJ := $(HOST_SRC:%.c=$(O)/%.o)
EXAMPLES := $(patsubst %.c,$(O)/%,$(wildcard examples/*.c))
SKEL	:= $(O)/bpf/msp.packed.h
UNIT	:= $(patsubst %.c,$(O)/%,$(wildcard tests/unit/test_*.c))
FUZZ	:= $(patsubst %.c,$(O)/%,$(wildcard tests/fuzz/fuzz_*.c))
TESTLIB	:= $(patsubst %.c,$(O)/%.o,$(wildcard tests/lib/*.c))
DECIDE	:= $(O)/tests/rules/decide
REDACT	:= $(O)/tests/redact/filter
BENCH	:= $(patsubst %.c,$(O)/%,$(wildcard tests/bench/bench_*.c))
SOAK	:= $(O)/tests/bench/soak_fleet
RELAY	:= $(O)/tests/bench/relay
SOAKERS	:= $(patsubst %.c,$(O)/%,$(wildcard tests/soak/*.c))
CHAOS	:= $(O)/tests/chaos/links $(O)/tests/chaos/preload_chaos.so
BENCHLIB := $(patsubst %.c,$(O)/%.o,$(filter-out tests/bench/bench_% \
	   tests/bench/soak_% tests/bench/relay.c,$(wildcard tests/bench/*.c)))
TOOLS_MAN := $(wildcard man/msp-host*.[1-9])
MAN	:= $(filter-out $(TOOLS_MAN),$(wildcard man/*.[1-9]))
LIVEBIN	:= $(patsubst %.c,$(O)/%,$(filter-out tests/live/nss_% \
	   tests/live/preload_%,$(wildcard tests/live/*.c)))
LIVEPRE	:= $(patsubst %.c,$(O)/%.so,$(wildcard tests/live/preload_*.c))
LIVENSS	:= $(patsubst tests/live/nss_%.c,$(O)/tests/live/libnss_%.so.2, \
	   $(wildcard tests/live/nss_*.c))
GUEST	:= $(O)/tests/kernels/guest
GUEST_OBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/kernels/*.c))
ATTACK_DIR := tests/live/attacks
# What has a header is for the others.
ATTACK_LIB := $(patsubst %.h,%.c,$(filter-out %/weak.h, \
	   $(wildcard $(ATTACK_DIR)/*.h)))
ATTACKS	:= $(patsubst %.c,$(O)/%,$(filter-out $(ATTACK_LIB) %/weak.c \
	   %.bpf.c, $(wildcard $(ATTACK_DIR)/*.c)))
WEAK	:= $(O)/$(ATTACK_DIR)/weak

.PHONY: all lib install uninstall install-tools uninstall-tools \
	install-service install-compat deb clean FORCE
all: lib $(if $(MSPD_SRC),$(O)/mspd/mspd) $(MSPCTL) \
	$(if $(HOST_SRC),$(O)/examples/msp-host/msp-host) $(EXAMPLES)
lib: $(O)/$(SHLIB) $(O)/libmsp.so $(O)/$(SONAME) $(O)/libmsp.a $(O)/libmsp.pc

# ---- eBPF: one object, its skeleton is compiled into the library; where the
# source was is not the kernel's to know -------------------------------------
MULTIARCH := $(shell $(CC) -print-multiarch 2>/dev/null)
SYSROOT	:= $(shell $(CC) -print-sysroot 2>/dev/null)
$(O)/%.bpf.o: %.bpf.c
	$(call say,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -g -O2 -target bpf -Wall -Wextra -Werror \
		-Wno-unused-parameter -Ibpf -ffile-prefix-map=$(CURDIR)=. \
		-gno-inline-line-tables \
		-idirafter $(SYSROOT)/usr/include/$(MULTIARCH) -MMD -MP -MT $@ \
		-MF $(@:.o=.d) -c $< -o $@.full
	$(Q)$(BPFTOOL) gen object $@ $@.full # without DWARF, which is large
$(O)/%.skel.h: $(O)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $(*F)_bpf > $@
# The skeleton without its object, and the object a quarter as large.
$(O)/%.packed.h: $(O)/%.skel.h $(O)/%.bpf.o
	$(call say,PACK,$@)
	$(Q)sed 's/= (void \*)$(*F)_bpf__elf_bytes(&s->data_sz)/= NULL/' $< > $@
	$(Q)printf '#define %s_object_size %d\nstatic const %s[] = {\n' \
		$(*F) $$(wc -c < $(word 2,$^)) \
		'unsigned char $(*F)_object' >> $@
	$(Q)gzip -9 -n < $(word 2,$^) | od -A n -v -t x1 | \
		sed 's/ \(..\)/0x\1,/g' >> $@
	$(Q)echo '};' >> $@

# ---- library --------------------------------------------------------------
$(O)/%.o: %.c
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPOURS) $(CPPFLAGS) $(OURS) $(CFLAGS) $(SIZE) -MT $@ \
		-c $< -o $@
$(LIB_OBJ): | $(SKEL)
# included as a system header (its one string literal is longer than ISO C
# promises), which -MMD does not list
$(O)/libmsp/redirect_load.o: $(SKEL)

$(O)/$(SHLIB): $(LIB_OBJ) libmsp/libmsp.map
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(SONAME) $(LDSHARED) \
		-Wl,--version-script=libmsp/libmsp.map $(LDOURS) \
		$(if $(SAN),,-Wl,-z,defs) $(LDFLAGS) -o $@ $(LIB_OBJ) \
		$(call DEP_LIB,--libs)
$(O)/$(SONAME) $(O)/libmsp.so: $(O)/$(SHLIB)
	$(Q)ln -sf $(SHLIB) $@
$(O)/libmsp.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^
$(O)/libmsp.pc: pkgconfig/libmsp.pc.in FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@LIBDIR@|$(LIBDIR)|g' \
		-e 's|@INCLUDEDIR@|$(INCLUDEDIR)|g' -e 's|@VERSION@|$(VERSION)|g' \
		-e "s|@YAJL@|$(YAJL_STATIC)|g" $< > $@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@

# ---- programs -------------------------------------------------------------
$(O)/mspd/mspd: $(MSPD_OBJ) $(O)/libmsp.so $(O)/$(SONAME)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $(MSPD_OBJ) -L$(O) -lmsp \
		$(call DEP_MHD,--libs) $(call DEP_YAJL,--libs) \
		$(call CRYPTO,--libs) -lpthread
$(MSPCTL): $(CTL_OBJ) $(CTL_SHARED) $(O)/libmsp.so $(O)/$(SONAME)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $(CTL_OBJ) $(CTL_SHARED) \
		-L$(O) -lmsp $(call DEP_YAJL,--libs) $(call CRYPTO,--libs) \
		$$($(PKG_CONFIG) --libs libbpf)
$(HOST_OBJ): CPPOURS += -Iexamples/msp-host
$(O)/examples/msp-host/msp-host: $(HOST_OBJ) $(O)/libmsp.so $(O)/$(SONAME)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $(HOST_OBJ) -L$(O) -lmsp \
		$(call DEP_MHD,--libs) $(call DEP_YAJL,--libs) \
		$(call CRYPTO,--libs) -lpthread
$(EXAMPLES): $(O)/examples/%: $(O)/examples/%.o $(O)/libmsp.so $(O)/$(SONAME)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $< -L$(O) -lmsp

# ---- tests: they link objects, so that allocation can be made to fail -----
TEST_LIB_OBJ := $(filter-out $(O)/libmsp/mem.o,$(LIB_OBJ))
TEST_MSPD_OBJ := $(filter-out $(O)/mspd/main.o,$(MSPD_OBJ))
$(UNIT): $(O)/tests/unit/%: $(O)/tests/unit/%.o $(TEST_LIB_OBJ) $(TESTLIB) \
		$(TEST_MSPD_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^ $(call DEP_CHECK,--libs) \
		$(call DEP_LIB,--libs) $(call DEP_MHD,--libs) -lpthread
FAKED	:= $(addprefix msp_redirect_,parts taken get set prove_among) sendmsg
$(addprefix $(O)/tests/unit/test_mspd_,store heir): \
	LDOURS += $(FAKED:%=-Wl,--wrap=%)
$(O)/tests/unit/test_mspd_early: LDOURS += -Wl,--wrap=realloc
FAILING	:= malloc calloc realloc strdup
$(O)/tests/unit/test_mspd_control: LDOURS += $(FAILING:%=-Wl,--wrap=%)
# With the allocator they will have: a counter of allocations, which all
# threads change, would hide what they do not agree on.
THREADTESTS := $(patsubst %.c,$(O)/%,$(wildcard tests/threads/test_*.c))
$(THREADTESTS): $(O)/tests/threads/%: $(O)/tests/threads/%.o $(LIB_OBJ) \
		$(O)/tests/lib/fakehost.o $(O)/tests/lib/scratch.o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^ $(call DEP_CHECK,--libs) \
		$(call DEP_LIB,--libs) -lpthread
# What parses in the programs, for those that fuzz it; q: two are text.o.
FUZZED	:= $(filter-out mspd/main.c mspd/ctl/main.c,$(MSPD_SRC) $(CTL_SRC))
$(O)/fuzzed.a: $(FUZZED:%.c=$(O)/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) qcs $@ $^
$(FUZZ): $(O)/tests/fuzz/%: $(O)/tests/fuzz/%.o $(O)/tests/fuzz/replay.o \
		$(LIB_OBJ) $(O)/fuzzed.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^ $(call DEP_LIB,--libs) \
		$(call DEP_MHD,--libs) -lpthread
# of the archive, so that one object of it can be another
$(DECIDE): $(DECIDE).o $(O)/libmsp.a
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^ $(call DEP_LIB,--libs)
$(REDACT): $(REDACT).o $(O)/mspd/redact.o $(O)/mspd/redact_option.o \
		$(O)/mspd/text.o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^
$(LIVENSS): $(O)/tests/live/libnss_%.so.2: $(O)/tests/live/nss_%.o
	$(call say,LD,$@)
	$(Q)$(CC) -shared -Wl,-soname,$(@F) $(LDOURS) $(LDFLAGS) -o $@ $<
$(LIVEPRE) $(O)/tests/chaos/preload_chaos.so: %.so: %.o
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(LDOURS) $(LDFLAGS) -o $@ $<
$(LIVEBIN): $(O)/tests/live/%: $(O)/tests/live/%.o $(O)/libmsp.so
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $< -L$(O) -lmsp
# PID 1 of a machine with nothing else on it
$(GUEST): $(GUEST_OBJ) $(O)/libmsp.a
	$(call say,LD,$@)
	$(Q)$(CC) -static $(LDOURS) $(LDFLAGS) -o $@ $^ \
		$$($(PKG_CONFIG) --static --libs libbpf libelf zlib) -lyajl_s \
		-lpthread
$(BENCH) $(SOAK): $(O)/tests/bench/%: $(O)/tests/bench/%.o $(BENCHLIB) \
		$(O)/libmsp.so $(O)/$(SONAME)
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $< $(BENCHLIB) \
		$(filter $(O)/mspd/%.o,$^) -L$(O) -lmsp \
		$(call DEP_LIB,--libs) -lpthread
# Rooms of the agent.
$(O)/tests/bench/bench_audit: $(addprefix $(O)/mspd/,audit.o audit_chain.o \
	audit_merge.o audit_text.o event.o file.o journal.o level.o log.o rotate.o \
	text.o worker.o)

# Alone, so that its memory is that of a relay and no more.
$(RELAY): $(RELAY).o $(O)/tests/bench/measure.o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^

$(SOAKERS): $(O)/%: $(O)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $<

$(O)/tests/chaos/links: %: %.o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $< $(call DEP_LIB,--libs)

# The attacks know nothing of the library; the agent built to lose to them has
# eBPF programs of its own.
$(ATTACKS): $(O)/%: $(O)/%.o $(patsubst %.c,$(O)/%.o,$(ATTACK_LIB))
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $^ -lpthread
$(WEAK).o: $(WEAK).skel.h
$(WEAK): $(WEAK).o
	$(call say,LD,$@)
	$(Q)$(CC) -pie $(LDOURS) $(LDFLAGS) -o $@ $< $(call DEP_LIB,--libs)

# ---- suites and the demo ---------------------------------------------------
SUITES	?= tally layers abi unit examples ctl host man install deb package san \
	   rules redact live scenarios
# What is measured, or has to come in time, has the machine for itself.
ALONE	:= live scenarios
# The others wait for much else than a processor, hence one more of them than
# there are of those. First what takes longest.
LONG	:= host san deb package rules
BESIDE	= $(filter $(LONG),$(SUITES)) $(filter-out $(LONG) $(ALONE),$(SUITES))
SECONDS	?= 60
JOBS	?= $(shell nproc 2>/dev/null || echo 1)
TALLY	?= $(O)/tally
UNITNAME := $(if $(SAN),san,unit)
PARALLEL = $(if $(findstring j,$(firstword -$(MAKEFLAGS)))$(filter -j% \
	--jobserver%,$(MAKEFLAGS)),,-j$(JOBS))
TOGETHER = -k -Otarget $(if $(PARALLEL),-j$(shell expr $(JOBS) + 1))
SUITE	= $(Q)V=$(V) tests/tally.sh run $(TALLY)

.PHONY: deps demo check check-tally check-unit check-san check-live check-layers \
	check-abi abi-baseline \
	check-examples check-ctl check-man check-install check-deb \
	check-package check-package-full check-host \
	check-valgrind check-kernels check-arm64 check-rules check-rules-long \
	check-redact \
	check-scenarios check-mutants coverage coverage-run fuzz bench soak soak-abuse \
	chaos \
	unit-programs unit-objects attack-programs

deps:
	$(Q).ci/deps

# What follows deps runs in a make of its own, because this one looked for
# the tools before deps installed them.
demo: deps
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) all
	$(Q)examples/demo.sh $(O)

check: deps
	$(Q)rm -rf $(TALLY)
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) all unit-programs \
		attack-programs
	+$(Q)$(if $(BESIDE),$(MAKE) --no-print-directory $(TOGETHER) \
		TALLY=$(TALLY) $(if $(OWN_FLAGS),,DEB_FROM=$(O)) \
		$(BESIDE:%=check-%) || :)
	+$(Q)for suite in $(filter $(ALONE),$(SUITES)); do \
		$(MAKE) --no-print-directory TALLY=$(TALLY) check-$$suite \
			|| :; \
	done
	@tests/tally.sh sum $(TALLY) $(SUITES)

unit-programs: $(UNIT) $(THREADTESTS) $(FUZZ) $(DECIDE) $(REDACT)
# For another compiler's warnings.
unit-objects: $(patsubst %,%.o,$(UNIT) $(THREADTESTS) $(FUZZ) $(DECIDE) \
	$(REDACT)) $(TESTLIB) $(O)/tests/fuzz/replay.o

check-tally:
	$(SUITE) tally tests/tally_test.sh

check-unit: unit-programs
	$(SUITE) $(UNITNAME) tests/unit.sh $(UNIT) $(THREADTESTS) $(FUZZ)

check-san:
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) SAN=1 O=$(O)-san \
		TALLY=$(abspath $(TALLY)) unit-programs
	+$(Q)$(MAKE) --no-print-directory SAN=1 O=$(O)-san \
		TALLY=$(abspath $(TALLY)) check-unit

# Of mspd, what its threads share. Addresses are not randomized: the shadow of
# ThreadSanitizer has no room for all that newer kernels choose.
TSAN_MSPD := provision ruleset worker resolver snapshot identity names \
	audit_budget
.PHONY: check-tsan tsan-run
check-tsan:
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) O=$(O)-tsan HARDEN= \
		CFLAGS='-O1 -g -fsanitize=thread' LDFLAGS=-fsanitize=thread \
		TALLY=$(abspath $(TALLY)) tsan-run
TSAN_RUN := $(THREADTESTS) $(TSAN_MSPD:%=$(O)/tests/unit/test_mspd_%)
tsan-run: $(TSAN_RUN)
	$(SUITE) tsan env TSAN_OPTIONS='halt_on_error=0 exitcode=66' \
		setarch -R tests/unit.sh $(TSAN_RUN)

# LINTED: other sources, e.g. mspd/cli.c
.PHONY: lint
lint: LINTED ?= $(LIB_SRC)
lint: $(SKEL)
	$(SUITE) lint python3 tests/lint.py $(O) $(LINTED)

check-valgrind: unit-programs
	$(SUITE) valgrind env UNDER=valgrind tests/unit.sh $(UNIT)

check-rules: $(DECIDE)
	$(SUITE) rules env CC='$(CC)' COUNT='$(COUNT)' SEED='$(SEED)' \
		python3 tests/rules/run.py $(O)

check-redact: $(REDACT)
	$(SUITE) redact env COUNT='$(COUNT)' SEED='$(SEED)' \
		python3 tests/redact/run.py $(O)

check-rules-long: COUNT ?= 1000000
check-rules-long: check-rules

check-layers: all
	$(SUITE) layers python3 tests/layers.py $(O)

# Debug information is what is compared, whatever the user's flags are.
ABI_O	:= $(O)/abi
ABI_MAKE = $(MAKE) --no-print-directory $(PARALLEL) O=$(ABI_O) SAN= HARDEN= \
	   CFLAGS='-O0 -g' CPPFLAGS= LDFLAGS= lib
check-abi:
	+$(Q)$(ABI_MAKE)
	$(SUITE) abi python3 tests/abi/check.py $(ABI_O)
abi-baseline:
	+$(Q)$(ABI_MAKE)
	$(Q)python3 tests/abi/check.py $(ABI_O) --write

check-examples: all
	$(SUITE) examples python3 tests/examples.py $(O)

check-ctl: all
	$(SUITE) ctl python3 tests/ctl/run.py $(O)

check-host: all $(O)/tests/bench/bench_fleet
	$(SUITE) host env LD_LIBRARY_PATH=$(O) python3 \
		tests/host/run.py $(O)/examples/msp-host/msp-host

check-man: all $(DECIDE)
	$(SUITE) man python3 tests/man.py $(O)

check-install: all
	$(SUITE) install tests/install.sh $(O)

check-deb: deb
	$(SUITE) deb tests/deb.sh $(DEB)

check-package: deb
	$(SUITE) package python3 tests/package/chroot.py $(DEB)

check-package-full: check-package
	$(SUITE) machine python3 tests/package/check.py $(DEB)

attack-programs: $(ATTACKS) $(WEAK) $(LIVENSS) $(LIVEPRE) $(SOAKERS) $(CHAOS)

check-live: all attack-programs
	$(SUITE) live python3 tests/live/run.py $(O)

check-scenarios: all
	$(SUITE) scenarios python3 tests/live/scenarios.py $(O)

# Neither optimised nor hardened: a line of source is a line of code then.
coverage:
	+$(Q)$(MAKE) --no-print-directory $(PARALLEL) O=$(O)-coverage HARDEN= \
		CFLAGS='-O0 -g --coverage' LDFLAGS=--coverage coverage-run
COVERING := $(filter-out %/test_mspd%,$(UNIT)) $(FUZZ)
coverage-run: $(COVERING)
	$(Q)python3 tests/coverage.py $(O) $(COVERING)

bench: all $(BENCH) $(RELAY)
	$(Q)QUICK=$(QUICK) AGENTS=$(AGENTS) python3 tests/bench/run.py $(O) \
		$(ONLY)
	$(Q)$(if $(README),python3 tests/bench/readme.py $(O)/bench.json \
		README.md)

soak: all $(SOAK)
	$(Q)SOAK=1 SCALE=1 V=1 python3 tests/live/scenarios.py $(O)
	$(Q)MINUTES=$(MINUTES) AGENTS=$(AGENTS) SEED=$(SEED) \
		python3 tests/live/soak.py $(O)
	+$(Q)$(MAKE) --no-print-directory soak-abuse

soak-abuse: all $(SOAKERS) $(LIVEPRE)
	$(Q)MINUTES=$(MINUTES) SEED=$(SEED) BROKEN=$(BROKEN) \
		python3 tests/soak/soak_abuse.py $(O)

chaos: all $(CHAOS)
	$(Q)CHAOS_SECONDS=$(CHAOS_SECONDS) CHAOS_SEED=$(CHAOS_SEED) \
		CHAOS_KINDS='$(CHAOS_KINDS)' python3 tests/chaos/chaos.py $(O)

# What the table of mspd/seccomp_table.c is reviewed against.
.PHONY: syscalls
SYSCALLS := $(O)/syscalls
syscalls: all attack-programs
	$(Q)rm -rf $(SYSCALLS) && mkdir -p $(SYSCALLS)/all $(SYSCALLS)/hot
	$(Q)TRACE=$(abspath $(SYSCALLS))/all TRIES=60 \
		python3 tests/live/run.py $(O) || :
	$(Q)TRACE=$(abspath $(SYSCALLS))/hot HOT=1 \
		python3 tests/live/run.py $(O) case_traffic case_keys || :
	$(Q)python3 tests/live/syscalls.py $(SYSCALLS)/all
	$(Q)python3 tests/live/syscalls.py $(SYSCALLS)/hot

# Changes and builds a copy, not what is here.
check-mutants:
	$(SUITE) mutants python3 tests/live/mutants.py . $(MUTANTS)

# Downloads and boots what CI has no time for.
check-kernels: all $(GUEST)
	$(SUITE) kernels python3 tests/kernels/check_kernels.py $(O) $(KERNELS)

# ---- arm64: a second build, with Debian's compiler for it and libraries of
# its own, so that this machine stays of one architecture --------------------
ARM64	:= $(O)-arm64
ARM64_ROOT := $(abspath $(ARM64))/root
ARM64_LIBS := $(ARM64_ROOT)/usr/lib/aarch64-linux-gnu
ARM64_MAKE = PKG_CONFIG_SYSROOT_DIR='$(ARM64_ROOT)' \
	PKG_CONFIG_LIBDIR='$(ARM64_LIBS)/pkgconfig' \
	$(MAKE) --no-print-directory O=$(ARM64) SAN= \
	TALLY=$(abspath $(ARM64))/tally AR=aarch64-linux-gnu-ar \
	CC='aarch64-linux-gnu-gcc --sysroot=$(ARM64_ROOT)'
ARM64_SUITES := unit examples kernels

check-arm64: deps
	$(Q)mkdir -p $(ARM64)
	$(Q)rm -rf $(ARM64)/tally
	$(Q)python3 tests/arm64/sysroot.py $(ARM64_ROOT)
	+$(Q)$(ARM64_MAKE) $(PARALLEL) all unit-programs \
		$(ARM64)/tests/kernels/guest
	+$(Q)for suite in $(ARM64_SUITES); do \
		$(ARM64_MAKE) arm64-$$suite || :; \
	done
	@tests/tally.sh sum $(ARM64)/tally $(ARM64_SUITES)

# Of the second build.
EMULATED := $(O)/emulated
NEEDS_KERNEL = $(shell sed '/^\#/d; s/ .*//' tests/arm64/unemulated)
EMULATED_UNIT = $(filter-out $(NEEDS_KERNEL:%=$(O)/tests/unit/%),$(UNIT)) \
	$(THREADTESTS)

.PHONY: arm64-unit arm64-examples arm64-kernels emulated
emulated:
	$(Q)tests/arm64/emulated.sh $(O) $(O)/root $(EMULATED) \
		$(EMULATED_UNIT) $(FUZZ) $(EXAMPLES) \
		$(O)/examples/msp-host/msp-host
arm64-unit: emulated
	$(SUITE) unit tests/unit.sh \
		$(patsubst $(O)/%,$(EMULATED)/%,$(EMULATED_UNIT) $(FUZZ))
arm64-examples: emulated
	$(SUITE) examples python3 tests/examples.py $(EMULATED)
arm64-kernels:
	$(SUITE) kernels env ARCH=arm64 SYSROOT=$(O)/root python3 \
		tests/kernels/check_kernels.py $(O) $(KERNELS)

# ---- libFuzzer: everything instrumented, hence objects of its own ----------
FUZZ_O	:= $(O)/libfuzzer
FUZZ_FLAGS := -g -O1 -fsanitize=fuzzer-no-link,address,undefined \
	   -fno-sanitize-recover=all
FUZZERS	:= $(patsubst tests/fuzz/%.c,$(FUZZ_O)/%,$(if $(FUZZ_ONLY), \
	   $(FUZZ_ONLY:%=tests/fuzz/fuzz_%.c),$(wildcard tests/fuzz/fuzz_*.c)))

$(FUZZ_O)/obj/%.o: %.c | $(SKEL)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CPPOURS) -std=c11 $(FUZZ_FLAGS) -MMD -MP -MT $@ \
		-c $< -o $@
$(FUZZ_O)/fuzzed.a: $(FUZZED:%.c=$(FUZZ_O)/obj/%.o)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) qcs $@ $^
$(FUZZERS): $(FUZZ_O)/%: $(FUZZ_O)/obj/tests/fuzz/%.o \
		$(LIB_SRC:%.c=$(FUZZ_O)/obj/%.o) $(FUZZ_O)/fuzzed.a
	$(call say,LD,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined -o $@ $^ \
		$(call DEP_LIB,--libs) $(call DEP_MHD,--libs) -lpthread

# libFuzzer writes what it finds into the first directory it is given: that
# must not be the corpus.
fuzz: $(FUZZERS)
	$(Q)for f in $(FUZZERS); do \
		n=$${f##*/fuzz_}; found=$(FUZZ_O)/found/$$n; \
		words=-dict=tests/fuzz/$$n.dict; \
		[ -e $${words#*=} ] || words=; \
		mkdir -p $$found; \
		$$f -max_total_time=$(SECONDS) -print_final_stats=1 \
			-timeout=10 $$words \
			-artifact_prefix=$(FUZZ_O)/ $$found \
			tests/fuzz/corpus/$$n >$$found.log 2>&1 || \
			{ tail -n 60 $$found.log; exit 1; }; \
		printf '  %-7s %-20s %10s runs\n' FUZZ $$n \
			$$(sed -n 's/^stat::number_of_executed_units: *//p' \
			$$found.log); \
	done

# ---- install --------------------------------------------------------------
D = $(DESTDIR)
# $1: pages
install_man = for page in $1; do \
		to='$(D)$(MANDIR)'/man$${page\#\#*.}; \
		$(INSTALL) -D -m 644 $$page "$$to/$${page\#\#*/}" || exit; \
	done
uninstall_man = for page in $1; do \
		rm -f '$(D)$(MANDIR)'/man$${page\#\#*.}/$${page\#\#*/}; \
	done

install: all
	$(INSTALL) -d '$(D)$(LIBDIR)/pkgconfig' '$(D)$(INCLUDEDIR)/msp' \
		'$(D)$(SBINDIR)' '$(D)$(BINDIR)'
	$(INSTALL) -m 644 include/msp/*.h '$(D)$(INCLUDEDIR)/msp'
	$(INSTALL) -m 755 $(O)/$(SHLIB) '$(D)$(LIBDIR)'
	ln -sf $(SHLIB) '$(D)$(LIBDIR)/$(SONAME)'
	ln -sf $(SONAME) '$(D)$(LIBDIR)/libmsp.so'
	$(INSTALL) -m 644 $(O)/libmsp.a '$(D)$(LIBDIR)'
	$(INSTALL) -m 644 $(O)/libmsp.pc '$(D)$(LIBDIR)/pkgconfig'
	$(INSTALL) -m 755 $(O)/mspd/mspd '$(D)$(SBINDIR)'
	$(INSTALL) -m 755 $(MSPCTL) '$(D)$(BINDIR)'
	$(call install_man,$(MAN))
uninstall:
	rm -rf '$(D)$(INCLUDEDIR)/msp'
	rm -f '$(D)$(LIBDIR)/$(SHLIB)' '$(D)$(LIBDIR)/$(SONAME)' \
		'$(D)$(LIBDIR)/libmsp.so' '$(D)$(LIBDIR)/libmsp.a' \
		'$(D)$(LIBDIR)/pkgconfig/libmsp.pc' '$(D)$(SBINDIR)/mspd' \
		'$(D)$(BINDIR)/mspctl'
	$(call uninstall_man,$(MAN))

# Not part of an agent: nobody wants a host in his production VM. Needs the
# library that "make install" installs.
install-tools: all
	$(INSTALL) -d '$(D)$(BINDIR)'
	$(INSTALL) -m 755 $(O)/examples/msp-host/msp-host '$(D)$(BINDIR)'
	$(call install_man,$(TOOLS_MAN))
uninstall-tools:
	rm -f '$(D)$(BINDIR)/msp-host'
	$(call uninstall_man,$(TOOLS_MAN))

# One unit is both: they differ in names, and each ends the other.
$(O)/mspd.service: mspd/azure-proxy-agent.service
	$(call say,GEN,$@)
	$(Q)sed -e '/^#.*Azure/,/^$$/d' \
		-e 's/^\(Description=.*\),.*/\1/' \
		-e 's/man:azure-proxy-agent(8) //' \
		-e '/^Conflicts=/s/mspd.service/azure-proxy-agent.service/' \
		-e '/^After=/s/ mspd.service//' \
		-e '/^Before=/s/$$/ azure-proxy-agent.service/' \
		-e '/^Exec/s|azure.*|mspd --config /etc/mspd/mspd.json|' \
		$< > $@
# A configuration is somebody's once it is there.
install_unit = $(INSTALL) -d '$(D)$(UNITDIR)'; \
	sed -e 's|/usr/sbin/|$(SBINDIR)/|' -e 's| /etc/| $(SYSCONFDIR)/|' $1 \
		> '$(D)$(UNITDIR)/$(notdir $1)'; \
	chmod 644 '$(D)$(UNITDIR)/$(notdir $1)'
install_config = [ -e '$(D)$(SYSCONFDIR)/$2' ] || \
	$(INSTALL) -D -m 644 $1 '$(D)$(SYSCONFDIR)/$2'
install-service: $(O)/mspd.service
	$(call install_unit,$<)
	$(call install_config,mspd/mspd.json,mspd/mspd.json)
install-compat: all
	$(INSTALL) -D -m 755 $(O)/mspd/mspd '$(D)$(SBINDIR)/azure-proxy-agent'
	$(call install_unit,mspd/azure-proxy-agent.service)
	$(call install_config,mspd/proxy-agent.json,azure/proxy-agent.json)

# ---- packages: their objects are their own, for they do not say where they
# were built -----------------------------------------------------------------
DEB	:= $(O)/deb
PACKED	:= libmsp mspd examples bpf
OWN_FLAGS = $(strip $(SAN)$(CPPFLAGS)$(LDFLAGS) $(filter-out file, \
	$(origin CFLAGS) $(origin SMALL)))
DEB_MAKE = $(MAKE) --no-print-directory O=$(DEB)/obj SAN= \
	CFLAGS='-O2 -g -ffile-prefix-map=$(CURDIR)=. \
		-ffile-prefix-map=$(abspath $(DEB)/obj)=obj' \
	DESTDIR='$(abspath $(DEB))/stage' PREFIX=/usr SYSCONFDIR=/etc \
	LIBDIR=/usr/lib/$(MULTIARCH)
# DEB_FROM: of a build without flags of its own; one object is made anew, as if
# all were. What was copied knows nothing of headers, and serves but once.
deb: $(if $(DEB_FROM),all)
	$(Q)[ ! -e $(DEB)/obj/copied ] || rm -r $(DEB)/obj
	$(Q)$(if $(DEB_FROM),rm -rf $(DEB)/obj && mkdir -p $(DEB)/obj && \
		touch $(DEB)/obj/copied && \
		cp -a $(PACKED:%=$(DEB_FROM)/%) $(DEB)/obj && \
		rm $(DEB)/obj/libmsp/version.o)
	+$(Q)$(DEB_MAKE) $(PARALLEL) all
	$(Q)rm -rf $(DEB)/stage
	+$(Q)$(DEB_MAKE) install install-tools install-service install-compat \
		>$(DEB)/install.log
	$(Q)mspd/debian/build.sh $(DEB)/stage $(DEB) $(VERSION)
	$(Q)rm -r $(DEB)/stage
	$(Q)ls $(DEB)/*.deb
clean:
	rm -rf build build-san build-*/
FORCE:

# not of packages, nor of whole systems that they are tried in
-include $(shell find $(O) -path '$(O)/deb*' -prune -o -type f -name '*.d' \
	-print 2>/dev/null)
