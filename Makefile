# SPDX-License-Identifier: GPL-2.0
#
# tarnfs: both kernel modules, the tools, and every test. `make help` lists the targets.
#
# Adding a file is enough, no list needs an edit:
#   cxxrt/ pmem/ fs/ fs/*/ *.cpp    the core: linked into the modules, the tools and the host tests
#   cxxrt/linux/*.c                 the runtime's kernel backend, in every module
#   pmem/linux/*.c  fs/linux/*.c    the shim of tarn_pmem.ko and of tarnfs.ko
#   cxxrt/host/*.cpp                the runtime's user-space backend: tools and host tests
#   kunit/*.cpp kunit/linux/*.c     in both KUnit modules; kunit/{fs,pmem}/ and kunit/{fs,pmem}/linux/ in one
#   tools/{mkfs,fsck,tarnfs}.cpp    one program each; any other tools/*.cpp is linked into all three
#   tests/host/*.cpp  tests/host/*/*.cpp   one GoogleTest program (main is supplied), with TARN_DEBUG
#   tests/crash/*.cpp               the crash explorer, with a build of the core of its own
#   tests/interleave/*.cpp          threads in the DAX engine in every order, with that build
#   tests/fuzz/{media,operations}.cpp   one libFuzzer program each; any other tests/fuzz/*.cpp but mutate.cpp is in both
#   tests/compile_fail/*.cpp        each must fail to compile with its `// expect-error: REGEX` and compile with -DFIXED
#
# Where things land:
#   build/<kernel release>/{tarn_pmem,tarnfs}.ko      (objects in obj/ beside them)
#   build/tools/{mkfs.tarnfs,fsck.tarnfs,tarnfs}
#   build/host/{asan,tsan}/tarn_tests  build/host/crash/{tarn_crash,tarn_interleave}
#   build/host/fuzz/{media,operations}
#
# A part of `make test` is a target test-PART whose last line reads "N passed, N failed".

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/bash

.PHONY: all
all: modules tools

# Another place for everything built. Two builds of one checkout at once are safe also in the same place.
BUILD ?= build
B := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))

Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' $(1) $(2))

# ---- kernels -----------------------------------------------------------------------------------------------

# $(call release-of,kdir)
release-of = $(shell cat $(1)/include/config/kernel.release 2>/dev/null)
installed := $(patsubst /lib/modules/%/build/Makefile,%,$(wildcard /lib/modules/*/build/Makefile))

ifdef KDIR
  kernels := $(call release-of,$(KDIR))
  kdir-$(kernels) := $(KDIR)
  # Debian's headers name their compiler themselves; a tree of one's own was configured with this one.
  kdir-cc := $(shell sed -n 's/^CONFIG_CC_VERSION_TEXT="\{0,1\}\([^ "]*\) .*/\1/p' $(KDIR)/include/config/auto.conf 2>/dev/null)
  kdir-cc := $(if $(wildcard $(KDIR)/.kernelvariables),,$(if $(shell command -v $(kdir-cc)),CC=$(kdir-cc)))
  no-kernel := KDIR=$(KDIR) is not a configured kernel build tree (no include/config/kernel.release)
else
  # KVER=6.1 means any installed 6.1 release, a full release means itself.
  kernels := $(if $(KVER),$(filter $(KVER) $(KVER).%,$(installed)),$(installed))
  $(foreach k,$(kernels),$(eval kdir-$(k) := /lib/modules/$(k)/build))
  no-kernel := no kernel headers found$(if $(KVER), for KVER=$(KVER)); installed: $(or $(installed),none). scripts/setup installs them
endif

.PHONY: modules need-kernel $(kernels:%=modules-%)
modules: need-kernel $(kernels:%=modules-%)
need-kernel:
	$(if $(kernels),@:,@echo 'make: $(no-kernel)' >&2; exit 1)

# kbuild builds where Kbuild is: an object directory for each kernel holds one that includes the real one. Modules for
# several kernels are then built from one checkout, also at once. DWARF is worth more here than BTF, which pahole cannot
# make of C++: see Kbuild.
kbuild = flock $(B)/$(1)/lock $(MAKE) -C $(kdir-$(1)) M=$(abspath $(B)/$(1)/$(2)) CONFIG_DEBUG_INFO_BTF_MODULES= $(kdir-cc)

$(B)/%/obj/Kbuild $(B)/%/check/Kbuild:
	@mkdir -p $(@D)
	@echo 'include $(CURDIR)/Kbuild' > $@

define kernel-rules
modules-$(1): $(B)/$(1)/obj/Kbuild
	$$(Q)+$$(call kbuild,$(1),obj) modules
	@cd $(B)/$(1)/obj && for ko in *.ko; do \
		[ ! -e "$$$$ko" ] || cmp -s "$$$$ko" "../$$$$ko" || cp "$$$$ko" "../$$$$ko"; done
.PHONY: modules_install-$(1)
modules_install-$(1): modules-$(1)
	$$(Q)+$$(call kbuild,$(1),obj) CONFIG_MODULE_SIG_ALL= modules_install
endef
$(foreach k,$(kernels),$(eval $(call kernel-rules,$(k))))

# ---- host: the core for tools and tests --------------------------------------------------------------------

ifeq ($(origin CXX),default)
CXX := $(or $(shell command -v g++-12),g++)
endif

HOSTCC ?= $(or $(shell command -v gcc-12),gcc)

core-cpp := $(filter-out cxxrt/abi.cpp,$(wildcard cxxrt/*.cpp)) \
	$(wildcard cxxrt/host/*.cpp pmem/*.cpp fs/*.cpp fs/*/*.cpp fs/*/*/*.cpp)
test-cpp := $(wildcard tests/host/*.cpp tests/host/*/*.cpp)
# The scheduler of threads that run one at a time is of both.
crash-cpp := $(wildcard tests/crash/*.cpp) tests/interleave/scheduler.cpp tests/interleave/child.cpp
interleave-cpp := $(wildcard tests/interleave/*.cpp) \
	$(patsubst %,tests/host/support/%.cpp,device fake_file fake_mm persist_model volume)
fuzz-mains := $(wildcard tests/fuzz/media.cpp tests/fuzz/operations.cpp)
# What the targets share: the emulated machine of the host tests (what of it needs no GoogleTest), and the model of the
# power-cut tests.
fuzz-shared := $(filter-out $(fuzz-mains) tests/fuzz/mutate.cpp,$(wildcard tests/fuzz/*.cpp)) \
	$(patsubst %,tests/host/support/%.cpp,device fake_file fake_mm persist_model populated volume)
fuzz-model := tests/guest/powercut/model.cpp tests/guest/powercut/compare.cpp tests/guest/replay/core_view.cpp
fuzz-cpp := $(fuzz-mains) $(fuzz-shared) $(fuzz-model)
# What recognises other file systems, and what makes UUIDs.
tool-libs := -lblkid -luuid
tool-mains := $(wildcard tools/mkfs.cpp tools/fsck.cpp tools/tarnfs.cpp)
tool-cpp := $(filter-out $(tool-mains),$(wildcard tools/*.cpp))
tool-name = $(patsubst tarnfs.tarnfs,tarnfs,$(patsubst tools/%.cpp,%.tarnfs,$(1)))
tools := $(foreach t,$(tool-mains),$(B)/tools/$(call tool-name,$(t)))

host-warnings := -Wall -Wextra -Wundef -Wvla -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual \
	-Wimplicit-fallthrough -Wcast-qual -Wpointer-arith -Werror
# As in the kernel: no type-based aliasing, and char without a sign (where 6.1 and 6.12 differ, Kbuild sets it too).
host-flags := -std=gnu++20 -g -fno-strict-aliasing -funsigned-char -I. -Iinclude -pthread $(host-warnings)
core-flags := -fno-exceptions -fno-rtti -Wconversion -Wsign-conversion

variants := tools asan tsan crash fuzz
flags-tools := -O2
flags-asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize=vptr \
	-fno-sanitize-recover=all -DTARN_DEBUG=1
# For bulk: fast, with the bugs of cxxrt/mutant.hpp, which are off until asked for, and with every caller on the stack.
flags-crash := -O2 -fno-pie -fno-optimize-sibling-calls -DTARN_MUTANTS=1
flags-tsan := -O1 -fno-omit-frame-pointer -fsanitize=thread -DTARN_DEBUG=1
# Clang has libFuzzer.
flags-fuzz := $(flags-asan) -O2 -fsanitize=fuzzer-no-link -Wno-mismatched-tags
cxx-fuzz := clang++
cxx-of = $(or $(cxx-$(1)),$(CXX))

define host-variant
$(B)/host/$(1)/%.o: %.cpp $(B)/host/$(1)/flags
	@mkdir -p $$(@D)
	$$(call say,CXX,$$@)
	$$(Q)$(call cxx-of,$(1)) $(host-flags) $$(if $$(filter tests/% tools/%,$$*),,$(core-flags)) $(flags-$(1)) \
		-MMD -MP -MF $$(@:.o=.d) -MT $$@ -c -o $$@.$$$$$$$$ $$< && mv $$@.$$$$$$$$ $$@
# Rewritten only when the flags differ, so that a change of flags rebuilds what they decide.
$(B)/host/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@echo '$(call cxx-of,$(1)) $(host-flags) $(core-flags) $(flags-$(1))' | cmp -s - $$@ || \
		echo '$(call cxx-of,$(1)) $(host-flags) $(core-flags) $(flags-$(1))' > $$@
$(B)/host/$(1)/libtarn.a: $(core-cpp:%.cpp=$(B)/host/$(1)/%.o)
	$$(call say,AR,$$@)
	$$(Q)ar rcs $$@.$$$$$$$$ $$^ && mv $$@.$$$$$$$$ $$@
-include $$(patsubst %.cpp,$(B)/host/$(1)/%.d,$(sort $(core-cpp) $(test-cpp) $(crash-cpp) \
	$(interleave-cpp) $(fuzz-cpp) $(tool-mains) $(tool-cpp)))
endef
$(foreach v,$(variants),$(eval $(call host-variant,$(v))))

.PHONY: FORCE
FORCE:

define tool-rule
$(B)/tools/$(call tool-name,$(1)): $(patsubst %.cpp,$(B)/host/tools/%.o,$(1) $(tool-cpp)) $(B)/host/tools/libtarn.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) $(flags-tools) -pthread -o $$@ $$^ $(tool-libs)
endef
$(foreach t,$(tool-mains),$(eval $(call tool-rule,$(t))))

.PHONY: tools
tools: $(tools)

define test-program
$(B)/host/$(1)/tarn_tests: $(test-cpp:%.cpp=$(B)/host/$(1)/%.o) $(B)/host/$(1)/libtarn.a
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) $(flags-$(1)) -pthread -o $$@ $$^ -lgtest -lgtest_main
endef
$(foreach v,asan tsan,$(eval $(call test-program,$(v))))

$(B)/host/crash/tarn_crash: $(crash-cpp:%.cpp=$(B)/host/crash/%.o) $(B)/host/crash/libtarn.a
	$(call say,LINK,$@)
	$(Q)$(CXX) $(flags-crash) -no-pie -pthread -o $@.$$$$ $^ && mv $@.$$$$ $@

$(B)/host/crash/tarn_interleave: $(interleave-cpp:%.cpp=$(B)/host/crash/%.o) $(B)/host/crash/libtarn.a
	$(call say,LINK,$@)
	$(Q)$(CXX) $(flags-crash) -no-pie -pthread -o $@.$$$$ $^ && mv $@.$$$$ $@

define fuzz-program
$(patsubst tests/fuzz/%.cpp,$(B)/host/fuzz/%,$(1)): $(patsubst %.cpp,$(B)/host/fuzz/%.o,$(1) $(fuzz-shared) $(fuzz-model)) \
		$(B)/host/fuzz/libtarn.a
	$$(call say,LINK,$$@)
	$$(Q)$(cxx-fuzz) $(flags-fuzz) -fsanitize=fuzzer -pthread -o $$@ $$^
endef
$(foreach f,$(fuzz-mains),$(eval $(call fuzz-program,$(f))))

# The tools under ASan and UBSan, for what is done to damaged images.
asan-tools := $(B)/host/asan/fsck.tarnfs $(B)/host/asan/tarnfs
define asan-tool-rule
$(B)/host/asan/$(call tool-name,$(1)): $(patsubst %.cpp,$(B)/host/asan/%.o,$(1) $(tool-cpp)) $(B)/host/asan/libtarn.a
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) $(flags-asan) -pthread -o $$@ $$^ $(tool-libs)
endef
$(foreach t,tools/fsck.cpp tools/tarnfs.cpp,$(eval $(call asan-tool-rule,$(t))))

# ---- tests -------------------------------------------------------------------------------------------------

# The parts of `make test`, in order; each is there once what it runs is there.
test-parts := check build $(if $(wildcard tests/compile_fail/*.cpp),compile-fail) $(if $(test-cpp),host host-tsan) crash interleavings \
	$(if $(fuzz-mains),fuzz) $(if $(wildcard tests/guest/run),guest) $(if $(wildcard kunit/*/linux/*.c),kunit)

.PHONY: test setup $(test-parts:%=test-%)
test: setup
	$(Q)TARN_BUILD=$(B) tests/run $(test-parts:%=test-%)

# Installs what is missing and says so; quick when nothing is.
setup:
	$(if $(wildcard scripts/setup),$(Q)scripts/setup,@:)

# FILTER=Suite.* runs some of the host tests.
test-host: $(B)/host/asan/tarn_tests
	$(Q)tests/run-gtest $< $(if $(FILTER),--gtest_filter='$(FILTER)')

# What operations cost, as a page; page faults are counted in a guest.
.PHONY: cost
cost: $(B)/host/asan/tarn_tests all guest-programs
	$(Q)TARN_BUILD=$(B) tests/cost-table $< >docs/cost.md.new && mv docs/cost.md.new docs/cost.md

# What has one thread and takes long has no race to find: suites that try many states of the media one after the other.
# `make soak` runs them here too. The sanitizer's shadow memory does not fit every random address-space layout: switch that off.
one-thread := CrashExplore.* *PowerCut.* *CheckRepair*.* *CheckHostile*.* *CheckProblems*.* Tree*.* Cost*.* Scale*.*
joined = $(subst $(eval) ,:,$(1))
test-host-tsan: $(B)/host/tsan/tarn_tests
	$(Q)setarch -R tests/run-gtest $< --gtest_filter='$(or $(FILTER),-$(call joined,$(one-thread)))'

# Power cuts in the core in every way, and planted bugs that have to be found.
.PHONY: crash crash-soak
crash: test-crash
test-crash: $(B)/host/crash/tarn_crash
	$(Q)$< --jobs $$(nproc)

# Every schedule of two and three threads in the DAX engine, up to a bound, and planted bugs that have to be found.
.PHONY: interleavings interleavings-soak
interleavings: test-interleavings
test-interleavings: $(B)/host/crash/tarn_interleave
	$(Q)$< --jobs $$(nproc)

# Inputs that are the same each time. `make fuzz` makes others, for so many seconds for each target.
FUZZ_TIME ?= 300
.PHONY: fuzz fuzz-programs
fuzz-programs: $(patsubst tests/fuzz/%.cpp,$(B)/host/fuzz/%,$(fuzz-mains)) $(B)/guest/programs/mutate $(asan-tools)
test-fuzz: fuzz-programs
	$(Q)TARN_BUILD=$(B) tests/fuzz/run --tools
fuzz: fuzz-programs
	$(Q)TARN_BUILD=$(B) tests/fuzz/run --time $(FUZZ_TIME) $(FUZZ)

test-compile-fail:
	$(Q)tests/run-compile-fail $(CXX) $(host-flags) $(core-flags) -DTARN_DEBUG=1 -- tests/compile_fail/*.cpp

# Programs that guest tests run: tests/guest/NAME/*.cpp becomes $(B)/guest/programs/NAME. For tests/guest/dropped also the
# emulator's plugin; the others contain the core, and run on this machine.
guest-programs := cost dax faults powercut scale
core-programs := replay populate mutate
.PHONY: guest-programs
guest-programs: $(guest-programs:%=$(B)/guest/programs/%) $(B)/guest/programs/tracer.so \
	$(core-programs:%=$(B)/guest/programs/%)
define guest-program
$(B)/guest/programs/$(1): $(wildcard tests/guest/$(1)/*.cpp tests/guest/$(1)/*.hpp) tests/cost_budgets.hpp
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) -std=c++20 -O1 -g -I. -pthread -Wall -Wextra -Werror -o $$@.$$$$$$$$ $$(filter %.cpp,$$^) && mv $$@.$$$$$$$$ $$@
endef
$(foreach p,$(guest-programs),$(eval $(call guest-program,$(p))))

$(B)/guest/programs/tracer.so: $(wildcard tests/guest/tracer/*.c tests/guest/tracer/*.h)
	@mkdir -p $(@D)
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -std=gnu11 -O2 -g -fPIC -shared -fvisibility=hidden -Wall -Wextra -Werror -o $@.$$$$ $(filter %.c,$^) && \
		mv $@.$$$$ $@

replay-cpp := $(wildcard tests/guest/replay/*.cpp) tests/guest/powercut/model.cpp tests/guest/powercut/compare.cpp
populate-cpp := $(wildcard tests/guest/populate/*.cpp)
# Writes the damaged images of the fuzz target `media`.
mutate-cpp := tests/fuzz/mutate.cpp $(fuzz-shared)
define core-program
$(B)/guest/programs/$(1): $($(1)-cpp:%.cpp=$(B)/host/tools/%.o) $(B)/host/tools/libtarn.a
	@mkdir -p $$(@D)
	$$(call say,LINK,$$@)
	$$(Q)$(CXX) $(flags-tools) -pthread -o $$@ $$^
-include $($(1)-cpp:%.cpp=$(B)/host/tools/%.d)
endef
$(foreach p,$(core-programs),$(eval $(call core-program,$(p))))

# 6.12 of 6.12.117+deb12-amd64
series = $(subst $(eval) ,.,$(wordlist 1,2,$(subst ., ,$(1))))
test-guest: all guest-programs
	$(Q)tests/guest/run $(if $(KVER),--kernel $(call series,$(KVER)))

# The debug kernel's modules, with every internal check; builds that kernel first where it is not there (8 minutes).
.PHONY: debug-modules
debug-modules:
	$(Q)kdir=$$(scripts/debug-kernel) && \
		$(MAKE) modules KDIR=$$kdir CONFIG_TARNFS_DEBUG=y CONFIG_TARNFS_KUNIT_TEST=m

test-kunit: debug-modules
	$(Q)scripts/kunit --no-build

# The long forms: what is random goes on SOAK times as long (13: 52 power cuts on each kernel).
SOAK ?= 13
soak-parts := soak-host soak-host-tsan crash-soak interleavings-soak soak-fuzz soak-guest
.PHONY: soak $(soak-parts)
soak: setup
	$(Q)TARN_BUILD=$(B) tests/run $(soak-parts)

soak-host: $(B)/host/asan/tarn_tests
	$(Q)TARN_SOAK=$(SOAK) tests/run-gtest $< --gtest_repeat=$(SOAK) $(if $(FILTER),--gtest_filter='$(FILTER)')

# All suites, once.
soak-host-tsan:
	$(Q)$(MAKE) test-host-tsan FILTER='*'

# Another seed each time: it is printed.
crash-soak: $(B)/host/crash/tarn_crash
	$(Q)$< --jobs $$(nproc) --seed $$(date +%s) --thorough $(SOAK) --states $$(($(SOAK) * 1000000)) \
		--seconds $$(($(SOAK) * 240))

# One more preemption.
interleavings-soak: $(B)/host/crash/tarn_interleave
	$(Q)$< --jobs $$(nproc) --two 3 --three 2

# Of each target about an hour.
soak-fuzz: fuzz-programs
	$(Q)TARN_BUILD=$(B) tests/fuzz/run --time $$(($(SOAK) * 280))

soak-guest: all guest-programs
	$(Q)TARN_SOAK=$(SOAK) tests/guest/run --soak $(if $(KVER),--kernel $(call series,$(KVER)))

# ---- checks ------------------------------------------------------------------------------------------------

.PHONY: check
check: test-check
test-check: need-kernel
	$(Q)TARN_BUILD=$(B) tests/run-checks $(kernels)

# One kernel's modules in a directory of their own, with every warning on and sparse over the shim: for `check`.
.PHONY: $(kernels:%=strict-%)
define strict-rule
strict-$(1): $(B)/$(1)/check/Kbuild
	$$(Q)+$$(call kbuild,$(1),check) W=1 C=2 modules
endef
$(foreach k,$(kernels),$(eval $(call strict-rule,$(k))))

# What users and packagers do with the build: kbuild alone, installing, help, an editor.
test-build: all
	$(Q)TARN_BUILD=$(B) tests/run-build $(kernels)

# ---- the rest ----------------------------------------------------------------------------------------------

ifneq ($(wildcard scripts/demo),)
.PHONY: demo
# In a make of its own, which sees the kernels that setup has installed.
demo: setup
	$(Q)$(MAKE) -j$$(nproc) all
	$(Q)scripts/demo
endif

PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
.PHONY: install modules_install
install: tools modules_install
	install -d $(DESTDIR)$(SBINDIR)
	install -m 755 $(tools) $(DESTDIR)$(SBINDIR)
	install -d $(DESTDIR)$(MANDIR)/man8
	install -m 644 $(wildcard tools/*.8) $(DESTDIR)$(MANDIR)/man8
modules_install: need-kernel $(kernels:%=modules_install-%)

.PHONY: compile_commands.json
compile_commands.json:
	$(Q)scripts/compile-commands -o $@ --cxx '$(CXX) $(host-flags) -DTARN_DEBUG=1' --core-flags='$(core-flags)' \
		$(foreach k,$(kernels),--objects $(B)/$(k)/obj=$(kdir-$(k))) -- $(sort $(core-cpp) $(test-cpp) $(crash-cpp) $(interleave-cpp) $(fuzz-cpp) tests/fuzz/mutate.cpp $(tool-mains) $(tool-cpp))

.PHONY: clean
clean:
	rm -rf $(B) compile_commands.json

.PHONY: help
help:
	@sed -n 's/^#: \{0,1\}//p' $(firstword $(MAKEFILE_LIST))

#: Build
#:   make                    modules for every kernel whose headers are installed, and the tools
#:   make modules            modules only;  make tools: mkfs.tarnfs, fsck.tarnfs, tarnfs only
#:     KVER=6.1|6.12           only this kernel (a full release works too)
#:     KDIR=DIR                only the kernel built or configured in DIR
#:     CONFIG_TARNFS_DEBUG=y   with token, lock-rank and other internal checks
#:     CONFIG_TARNFS_KUNIT_TEST=m   also the KUnit modules (needs a kernel with KUnit)
#:     BUILD=DIR               build there, not in build/
#:     V=1                     show commands
#:   make install            tools and manuals to $(PREFIX), modules to /lib/modules; DESTDIR, INSTALL_MOD_PATH
#:   make modules_install    modules only
#:   make clean              remove build/
#: Test (each ends in "N passed, N failed" and fails when something did)
#:   make test               everything below; goes on after a part has failed
#:   make check              both kernels' modules without a warning (W=1, sparse), module-check, thread safety
#:   make test-build         kbuild alone (M=), installing, what is refused, compile_commands.json
#:   make test-compile-fail  programs that must not compile
#:   make test-host          the core in user space under ASan and UBSan; FILTER=Suite.* picks
#:   make cost               docs/cost.md: fences, lines and bytes of each operation, from the host tests; page faults, from a guest
#:   make test-host-tsan     the same under TSan, without what is long and has one thread
#:   make crash              power cuts in the core, in every way, and planted bugs that must be found
#:   make interleavings      threads in the DAX engine in every order, up to a bound, and planted bugs that must be found
#:   make test-fuzz          damaged images and operation sequences: the kept inputs and some thousand new ones
#:   make test-guest         both modules in QEMU on the stock kernels; KVER picks one
#:   make test-kunit         KUnit in the debug kernel (KASAN, lockdep, UBSAN ...)
#:   make debug-modules      modules for that kernel, for scripts/guest --kernel debug
#: Soak
#:   make soak               the long forms: hours; the parts are soak-host, crash-soak,
#:                           interleavings-soak, soak-fuzz, soak-guest
#:   make crash-soak         that part of it
#:     SOAK=N                  how many times as long as in `make test` (default 13)
#:   make fuzz               coverage-guided fuzzing of random inputs, then "N passed, N failed"
#:     FUZZ_TIME=N             seconds for each target (default 300)
#:     FUZZ=media|operations   only this target
#: Work
#:   make demo               the short tour: data on tarnfs, a power cut, everything still there
#:   make compile_commands.json   for clangd: the core, tests, tools and the C shim
