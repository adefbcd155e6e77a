# SPDX-License-Identifier: GPL-2.0
#
# The front door: make help

# The kernel's own builder of patches came with 6.19.
KVER	?= $(if $(filter klp klp-test tutorial,$(MAKECMDGOALS)),7.3,6.12)
CONFIG	?= nonftrace
CPUS	?= 2
MEM	?= 2G
ACCEL	?= auto
STRESS_SECONDS ?= 60
STRESS_SEED ?= 1
LOADS	?= yield read crowd filter fork vfork sleep

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DEFAULT_GOAL := help

top	:= $(CURDIR)

# The kernel tree is Debian's of that version, or a copy of KERNEL, which is made
# once: make clean to have it made again.
ifdef KERNEL
from	:= $(abspath $(KERNEL))
name	:= custom-$(firstword $(shell echo '$(from)' | cksum))
else
name	:= $(KVER)
from	:= $(KVER)
endif
tree	:= $(top)/build/linux-$(name)
build	= $(top)/build/$(name)-$(1)

# What a kernel is made of.
sources	:= $(wildcard Kconfig.nonftrace include/linux/*.h kernel/livepatch/* \
	     arch/x86/kernel/*.c arch/x86/include/asm/*.h tests/kunit/*.[chS] \
	     tests/kunit/Makefile tests/klp/subject/*)
configs	:= nonftrace ftrace debug rt kcsan
fragments = configs/base.config configs/livepatch.config configs/$(1).config

# What is measured: ours, and the kernel's own, in a tree as it comes.
benches	:= bench stock
stock	:= $(top)/build/linux-$(name)-stock

# klp-build builds where the sources are, and so in a tree of its own.
klp	:= $(top)/build/linux-$(name)-klp

help:
	@echo 'make demo        build, boot, patch and unpatch; a transcript to follow'
	@echo 'make check       everything that CI runs'
	@echo
	@echo 'make kernel      the kernel for CONFIG, in build/KVER-CONFIG'
	@echo 'make shell       a root shell in that kernel'
	@echo 'make machine     the same with systemd and kpatch, and what it writes is kept'
	@echo 'make kunit       the KUnit suites of that kernel'
	@echo 'make selftests   the kernel'"'"'s own selftests of live patching'
	@echo 'make patches     patches that wait, replace, relocate, and are refused'
	@echo 'make labels      functions that begin with a jump label'
	@echo 'make sleepers    patches for functions in which processes sleep, and what these see'
	@echo 'make rounds      load and unload a patch 200 times, looking for leaks'
	@echo 'make modules     patched modules come and go'
	@echo 'make stress      patches come and go while others are in their way'
	@echo 'make busy        patches for a function that tasks are in all the time'
	@echo 'make held        what happens to threads while they are held'
	@echo 'make nobody      loads by a user without privileges do not keep a patch out'
	@echo 'make isolated    how often a switch interrupts an isolated CPU'
	@echo 'make ftrace      the function tracer on patched functions, CONFIG=ftrace'
	@echo 'make klp         make a patch module of PATCH, for KVER=7.3; if it is'
	@echo '                 several patches, KLP_NAME is what to call it'
	@echo 'make klp-test    the same with patches of all shapes, and what they do'
	@echo 'make kpatch      the kpatch tool loads patches, in a system with systemd'
	@echo 'make tutorial    what docs/tutorial.md says, run as it is written'
	@echo 'make bench       measure, and compare with the kernel'"'"'s own; an hour'
	@echo 'make lint        sparse, checkpatch, kernel-doc, shellcheck'
	@echo 'make patch       print the live patcher as a patch for a kernel tree'
	@echo 'make install     put it into the tree at KERNEL'
	@echo 'make setup       install what all this needs; the others do so first'
	@echo 'make clean       remove build/; with KERNEL only what was made of that tree'
	@echo
	@echo '  KVER=$(KVER)  CONFIG=$(CONFIG) ($(configs))  KERNEL=$(KERNEL)'
	@echo '  CPUS=$(CPUS)  MEM=$(MEM)  ACCEL=$(ACCEL) (kvm, tcg, auto)'
	@echo '  STRESS_SECONDS=$(STRESS_SECONDS)  STRESS_SEED=$(STRESS_SEED)'
	@echo '  LOADS="$(LOADS)", of make nobody'

setup:
	@scripts/setup $(if $(KERNEL),,$(KVER))

# The tree, with our files linked into it. Which files these are can change, and where
# they are.
laid	:= kernel/livepatch/Kconfig.nonftrace
$(tree)/.unpacked $(stock)/.unpacked $(klp)/.unpacked: | setup
	@mkdir -p $(dir $(@D))
	@scripts/source $(from) $(@D)
	@touch $@

$(tree)/.overlaid: how := --link
$(tree)/.overlaid $(klp)/.overlaid: %/.overlaid: %/.unpacked scripts/overlay $(sources)
	@if [ -e $(@D)/$(laid) ] || [ -L $(@D)/$(laid) ]; then \
		scripts/overlay --again $(@D); \
	else \
		scripts/overlay $(how) $(@D); \
	fi
	@touch $@

$(klp)/.config: $(klp)/.overlaid $(call fragments,nonftrace) scripts/config
	@scripts/config $(@D) $(@D) $(addprefix $(top)/,$(call fragments,nonftrace))

# The rules for a configuration, the stamp of its tree, and its fragments.
define kernel_rules
$(call build,$(1))/.config: $(3) Kconfig.nonftrace scripts/config | $(2)
	@scripts/config $(patsubst %/,%,$(dir $(2))) $$(@D) $(addprefix $(top)/,$(3))

$(call build,$(1))/.built: $(call build,$(1))/.config $(2) scripts/kbuild | setup
	@scripts/kbuild $(patsubst %/,%,$(dir $(2))) $$(@D)
	@touch $$@
endef
$(foreach config,$(configs),$(eval $(call kernel_rules,$(config),$(tree)/.overlaid,$(call fragments,$(config)))))
$(eval $(call kernel_rules,bench,$(tree)/.overlaid,configs/base.config configs/bench.config))
$(eval $(call kernel_rules,stock,$(stock)/.unpacked,configs/base.config configs/stock.config))

this	:= $(call build,$(CONFIG))

# Modules of our own, built outside the tree as a user builds theirs.
samples	:= $(wildcard samples/*.c samples/Makefile)

$(this)/samples/.built: $(samples) $(this)/.built scripts/modules
	@scripts/modules $(this) samples $(@D)
	@touch $@

# For each kernel in which things are patched: what is patched, and with what; and
# processes that sleep, and patches for the functions in which they do.
define patch_rules
$(call build,$(1))/tests/.built: $(wildcard tests/modules/*) $(call build,$(1))/.built \
		scripts/modules scripts/test-modules tests/klp-relocs tests/elf.py \
		tests/load.c tests/held.c
	@scripts/test-modules $(call build,$(1)) $$(@D)
	@touch $$@

$(call build,$(1))/sleepers/.built: $(wildcard tests/sleepers/*) \
		$(call build,$(1))/.built scripts/sleepers scripts/modules tests/through \
		tests/klp-relocs tests/elf.py
	@scripts/sleepers $(call build,$(1)) $$(@D)
	@touch $$@
endef
$(foreach config,$(sort $(CONFIG) $(benches)),$(eval $(call patch_rules,$(config))))

# The kernel's selftests. They are the tree's own, and change with it only.
$(this)/selftests/.built: $(this)/.built scripts/selftests
	@scripts/selftests $(tree) $(this) $(@D)
	@touch $@

# The modules that measure, once for each kernel that is measured.
define bench_rules
$(call build,$(1))/bench/.built: $(wildcard tests/bench/*) \
		$(call build,$(1))/.built scripts/modules
	@scripts/modules $(call build,$(1)) tests/bench $$(@D)
	@touch $$@
endef
$(foreach config,$(benches),$(eval $(call bench_rules,$(config))))

kernel: $(this)/.built

vm	= scripts/vm --cpus $(CPUS) --mem $(MEM) --accel $(ACCEL)

shell: $(this)/.built $(this)/samples/.built
	@$(vm) $(this)

demo: $(this)/.built $(this)/samples/.built
	@$(vm) --timeout 300 $(this) tests/vm/demo

kunit: $(this)/.built
	@scripts/kunit $(tree) $(this) $(CPUS) $(ACCEL)

selftests: $(this)/selftests/.built
	@$(vm) --timeout 900 $(this) tests/vm/selftests

rounds: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 --append slab_debug=F $(this) tests/vm/rounds 200

modules: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/modules
	@$(vm) --timeout 900 $(this) tests/vm/referrers
	@$(vm) --timeout 900 --append slab_debug=F $(this) tests/vm/coming 200 1

patches: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/refused
	@$(vm) --timeout 900 $(this) tests/vm/replace
	@$(vm) --timeout 900 $(this) tests/vm/samples
	@$(vm) --timeout 900 $(this) tests/vm/keys
	@$(vm) --timeout 900 $(this) tests/vm/telemetry
	@$(vm) --timeout 900 --append livepatch.wait=1 $(this) tests/vm/wait

labels: $(this)/.built
	@$(vm) --timeout 900 --append "kunit.enable=1 kunit.filter_glob=livepatch_*.*label*" \
		$(this) tests/vm/labels

sleepers: $(this)/.built $(this)/sleepers/.built
	@$(vm) --timeout 900 $(this) tests/vm/sleepers

stress: $(this)/.built $(this)/tests/.built
	@scripts/stress $(tree) $(this) $(CPUS) $(ACCEL) $(STRESS_SECONDS) $(STRESS_SEED)

busy: $(this)/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/busy 1
	@$(vm) --timeout 900 $(this) tests/vm/busy 4

held: $(this)/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/held

nobody: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/nobody $(LOADS)

# CPU 3 is the isolated one. A kernel without CONFIG_NO_HZ_FULL says that it does
# not know what that is.
isolated: CPUS := 4
isolated: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 \
		--append "isolcpus=domain,managed_irq,3 nohz_full=3 rcu_nocbs=3 \
			tsc=reliable" \
		$(this) tests/vm/isolated

ftrace: $(this)/.built $(this)/samples/.built $(this)/tests/.built
	@$(vm) --timeout 900 $(this) tests/vm/ftrace
	@$(vm) --timeout 900 $(this) tests/vm/probes
	@$(vm) --timeout 900 --append "kunit.enable=1 \
		kunit.filter_glob=livepatch_switch.switch_*trap" \
		$(this) tests/vm/paths
	@$(vm) --timeout 900 $(this) tests/vm/telemetry

# What klp-build makes is for one configuration.
ifneq ($(filter klp klp-test tutorial,$(MAKECMDGOALS)),)
ifneq ($(CONFIG),nonftrace)
$(error klp-build is used with CONFIG=nonftrace only)
endif
endif
ifneq ($(filter klp,$(MAKECMDGOALS)),)
ifneq ($(words $(PATCH)),$(words $(wildcard $(PATCH))))
$(error there is no such patch: $(filter-out $(wildcard $(PATCH)),$(PATCH)))
endif
KLP_NAME ?= $(if $(word 2,$(PATCH)),,$(basename $(notdir $(PATCH))))
ifeq ($(KLP_NAME),)
$(error make klp PATCH=fix.patch, or PATCH="one.patch two.patch" KLP_NAME=both)
endif
endif

# KLP_FLAGS are options of klp-build.
klp: $(klp)/.config
	@scripts/klp $(klp) $(top)/build/klp/$(KLP_NAME).ko $(PATCH) -- $(KLP_FLAGS)

patched	:= $(call build,nonftrace)
$(patched)/klp-test/.built: $(klp)/.config $(wildcard tests/klp/*.patch) \
		scripts/klp scripts/klp-test
	@scripts/klp-test $(klp) $(@D)
	@touch $@

klp-test: $(patched)/.built $(patched)/klp-test/.built
	@$(vm) --timeout 300 $(patched) tests/vm/klp $(patched)/klp-test

# A distribution's root file system, and a copy of it that is written to.
root	:= $(top)/build/root.ext2
$(root): scripts/root | setup
	@scripts/root $@

$(this)/root.ext2: $(root) | $(this)/.built
	@cp --sparse=always $< $@

# RUN is what to run instead of a shell, and IMAGE what to boot.
IMAGE	:= $(this)/root.ext2
machine: $(this)/.built $(IMAGE)
	@$(vm) --root $(IMAGE) $(this) $(RUN)

kpatch: $(this)/.built $(this)/samples/.built $(root)
	@cp --sparse=always $(root) $(this)/kpatch.ext2
	@$(vm) --timeout 300 --root $(this)/kpatch.ext2 $(this) tests/vm/kpatch first
	@$(vm) --timeout 300 --root $(this)/kpatch.ext2 --append livepatch.wait=1 \
		$(this) tests/vm/kpatch second

# What runs there is run as somebody would type it.
tutorial: $(root)
	@cp --sparse=always $(root) $(top)/build/tutorial.ext2
	@env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL ACCEL=$(ACCEL) \
		tests/tutorial docs/tutorial.md $(top)/build/tutorial.ext2

bench: $(foreach config,$(benches),$(foreach what,bench tests sleepers,$(call build,$(config))/$(what)/.built)) \
		$(call build,nonftrace)/.built
	@scripts/bench $(tree) $(call build,) $(call build,bench)/report $(ACCEL)

lint: | setup
	@scripts/lint $(name) $(from)

# ALSO names other kernels, of which a part is run.
check: | setup
	@scripts/check $(KVER) $(ACCEL) $(tree) $(ALSO)

patch: | setup
	@scripts/make-patch $(from)

install:
	@test -n "$(KERNEL)" || { echo 'make install KERNEL=/path/to/linux' >&2; exit 1; }
	@scripts/overlay $(KERNEL)

# With KERNEL only what was made of that.
clean:
	rm -rf $(if $(KERNEL),$(tree)* $(call build,*),build)

.PHONY: help setup kernel shell machine demo kunit selftests patches labels sleepers rounds modules stress busy held nobody isolated ftrace klp klp-test kpatch tutorial bench lint check patch install clean
.DELETE_ON_ERROR:
