# MPP's one Makefile, for GNU make; `make help` lists the targets. A variant (release, debug,
# asan, tsan, fuzz) is a way to compile: each has its objects in build/<variant>/ and its
# programs in build/<variant>/bin/, the release its programs in bin/.

VERSION := 0.1.0
VARIANT ?= release
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30
PYTHON ?= /usr/bin/python3
PKG_CONFIG ?= pkg-config
# For tools/check.py, tools/demo.py and bench/run.py: make check ARGS="--only sim"
ARGS ?=

# ---- how each variant is compiled ----
sanitize_asan := -fsanitize=address,undefined -fno-sanitize-recover=all
sanitize_tsan := -fsanitize=thread
sanitize_fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all

cflags_release := -O2 -g -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
ldflags_release := -pie -Wl,-z,relro,-z,now
cflags_debug := -O0 -g3
cflags_asan := -O1 -g -fno-omit-frame-pointer $(sanitize_asan)
ldflags_asan := $(sanitize_asan)
cflags_tsan := -O1 -g -fno-omit-frame-pointer $(sanitize_tsan)
ldflags_tsan := $(sanitize_tsan)
cflags_fuzz := -O1 -g -fno-omit-frame-pointer $(sanitize_fuzz)
ldflags_fuzz := $(sanitize_fuzz)

ifeq ($(filter $(VARIANT),release debug asan tsan fuzz),)
$(error VARIANT=$(VARIANT): expected release, debug, asan, tsan or fuzz)
endif

warnings := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	-Wformat=2 -Wvla -Wswitch-enum -Wimplicit-fallthrough $(if $(WERROR),-Werror)

# ---- libraries ----
packages := libuv libconfig jansson libcrypto liburing
# Goals that compile nothing must work on a machine that has nothing.
no_compiler := help clean uninstall fmt
ifneq ($(filter-out $(no_compiler),$(or $(MAKECMDGOALS),all)),)
ifneq ($(shell $(PKG_CONFIG) --exists $(packages) && echo yes),yes)
$(error a library of "$(packages)" or pkg-config is missing: run tools/setup.sh check)
endif
package_cflags := $(shell $(PKG_CONFIG) --cflags $(packages))
package_libs := $(shell $(PKG_CONFIG) --libs $(packages))
endif
libs := -Wl,--as-needed $(package_libs) -lhttp_parser -lpthread -lm

# _GNU_SOURCE is empty so that a file that says "#define _GNU_SOURCE" means the same.
all_cflags = -std=gnu11 -D_GNU_SOURCE= -DMPP_VERSION='"$(VERSION)"' -Isrc -pthread $(warnings) \
	$(package_cflags) $(cflags_$(VARIANT)) $(CPPFLAGS) $(CFLAGS)
all_ldflags = $(ldflags_$(VARIANT)) $(LDFLAGS)

# ---- places and files ----
O := build/$(VARIANT)
bin := $(if $(filter release,$(VARIANT)),bin,$(O)/bin)
objects = $(patsubst %.c,$(O)/obj/%.o,$1)
quiet := $(if $(V),,@)
# A make inside a recipe uses all processors unless the caller has said -j.
submake = +$(quiet)$(MAKE) --no-print-directory \
	$(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))
as_root := $(if $(filter 0,$(shell id -u)),,sudo)

libcommon := $(O)/libcommon.a
common_sources := $(wildcard src/common/*/*.c)
unit_sources := $(shell find tests/unit -name '*_test.c' 2>/dev/null)
sim_sources := $(wildcard tests/sim/*.c)
fuzz_targets := $(patsubst fuzz/%_fuzz.c,%,$(wildcard fuzz/*_fuzz.c))
c_files := $(shell find src tests fuzz bench -name '*.[ch]' 2>/dev/null)
sh_files := .ci/run bench/high_density_streams $(wildcard *.sh tools/*.sh bench/*.sh \
	cli/mpp/place/*.sh)

unit_tests := $(patsubst %.c,$(O)/%,$(unit_sources))
sim := $(if $(sim_sources),$(bin)/sim)
fuzzers := $(patsubst %,$(O)/fuzz/%,$(fuzz_targets))
bench_helpers := $(addprefix $(O)/bench/,bulk crowd epoll_echo gap packets pingpong volley)
programs :=

.PHONY: all programs unit threaded tests debug asan tsan fuzz fuzz-build check check-long
.PHONY: check-build demo bench bench-paths bench-echo bench-cli bench-mcast fmt lint install uninstall clean help FORCE
.DELETE_ON_ERROR:
.SECONDARY:

all: programs

# ---- compiling and linking ----
# Another compiler or other flags build everything anew.
$(O)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' | cmp -s - $@ || \
		echo '$(CC) $(subst ','\'',$(all_cflags) $(all_ldflags))' >$@

$(O)/obj/src/common/wire/%.o: path_cflags := -Wconversion
$(O)/obj/src/common/flow/%.o: path_cflags := -Wconversion
$(O)/obj/src/emulator/core/%.o: path_cflags := -Wconversion
$(O)/obj/src/mcast/core/%.o: path_cflags := -Wconversion

$(O)/obj/%.o: %.c $(O)/flags
	@mkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<")
	$(quiet)$(CC) $(all_cflags) $(path_cflags) -MMD -MP -c -o $@ $<

# Made from scratch: a source that is gone must not live on as an old member.
$(libcommon): $(call objects,$(common_sources))
	$(if $(V),,@echo "  AR    $@")
	$(quiet)rm -f $@
	$(quiet)$(AR) rcs $@ $^

define link
@mkdir -p $(@D)
$(if $(V),,@echo "  LINK  $@")
$(quiet)$(CC) $(all_ldflags) -o $@ $(filter %.o,$^) $(libcommon)
endef

# $1: folder of src/, $2: program, $3: folders that it shares with other programs. A folder without
# C files is no program yet.
define program_rule
ifneq ($(wildcard src/$1/*.c),)
programs += $(bin)/$2
$(bin)/$2: $(call objects,$(wildcard src/$1/*.c src/$1/*/*.c $(foreach shared,$3,src/$(shared)/*.c))) $(libcommon)
	$$(link) $$(libs)
endif
endef

$(eval $(call program_rule,ingress,mpp_adv_ingress))
$(eval $(call program_rule,proxy,mpp_dataplane_proxy))
$(eval $(call program_rule,egress,mpp_adv_egress))
$(eval $(call program_rule,controller,mpp_controller))
$(eval $(call program_rule,emulator,link_emulator))
$(eval $(call program_rule,echo/server,echo_server,echo/common))
$(eval $(call program_rule,echo/client,echo_client,echo/common))
$(eval $(call program_rule,mcast/relay,multicast_relay,mcast/common mcast/core))
$(eval $(call program_rule,mcast/client,control_client,mcast/common mcast/core))
$(eval $(call program_rule,mcast/generator,traffic_generator,mcast/traffic mcast/core))
$(eval $(call program_rule,mcast/sink,traffic_sink,mcast/traffic mcast/core))

# A unit test is one program. It names what it needs beside libcommon in its first lines:
# /* with: src/controller/call.c tests/unit/flow/world.c */
with = $(shell sed -n 's,^/\* with: \(.*\) \*/$$,\1,p' $1)

define unit_rule
$(O)/$(1:.c=): $(call objects,$1 $(call with,$1)) $(libcommon)
	$$(link) -lcmocka $$(libs)
endef

$(foreach source,$(unit_sources),$(eval $(call unit_rule,$(source))))

$(bin)/sim: $(call objects,$(sim_sources)) $(libcommon)
	$(link) $(libs)

$(bench_helpers): $(O)/bench/%: $(call objects,bench/%.c bench/peer.c) $(libcommon)
	$(link) $(libs)

# The same target is a replayer of files in all variants but fuzz, where libFuzzer has the main.
# It names what it needs beside libcommon as a unit test does.
define fuzz_rule
$(O)/fuzz/$1: $(call objects,fuzz/$1_fuzz.c $(call with,fuzz/$1_fuzz.c)) $(libcommon) \
		$(if $(filter fuzz,$(VARIANT)),,$(call objects,fuzz/replay.c))
	$$(link) $(if $(filter fuzz,$(VARIANT)),-fsanitize=fuzzer) $$(libs)
endef

$(foreach target,$(fuzz_targets),$(eval $(call fuzz_rule,$(target))))

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# ---- what to build ----
programs: $(programs)
unit: $(unit_tests)
threaded: programs unit
	@:
tests: programs unit $(sim) $(fuzzers)
	@:

debug asan tsan:
	$(submake) VARIANT=$@ programs

fuzz-build: $(fuzzers)

fuzz:
	$(submake) VARIANT=fuzz CC=clang fuzz-build
	@set -e; for target in $(fuzz_targets); do \
		echo "  FUZZ  $$target, $(FUZZ_SECONDS) s"; \
		mkdir -p build/fuzz/found/$$target; \
		build/fuzz/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
			-verbosity=0 -artifact_prefix=build/fuzz/found/$$target- \
			build/fuzz/found/$$target fuzz/corpus/$$target; \
	done

# ---- what to run ----
check-build:
	$(submake) VARIANT=asan WERROR=1 tests
	$(submake) VARIANT=tsan WERROR=1 threaded
	$(submake) WERROR=1 programs

check: check-build
	@$(PYTHON) tools/check.py $(ARGS)

check-long: check-build
	@$(PYTHON) tools/check.py --long $(ARGS)

demo: programs
	@$(as_root) $(PYTHON) tools/demo.py --bin-dir bin $(ARGS)

bench: programs $(bench_helpers)
	@$(as_root) $(PYTHON) bench/run.py --bin-dir bin $(ARGS)

bench-paths: programs $(bench_helpers)
	@$(as_root) $(PYTHON) bench/paths.py --bin-dir bin $(ARGS)

bench-echo: programs $(bench_helpers)
	@$(as_root) tools/limits.sh $(PYTHON) bench/echo.py --bin-dir bin $(ARGS)

bench-cli: programs $(bench_helpers)
	@$(as_root) $(PYTHON) bench/orchestrator.py --bin-dir bin $(ARGS)

bench-mcast: programs $(bench_helpers)
	@$(as_root) $(PYTHON) bench/mcast.py --bin-dir bin $(ARGS)

fmt:
	clang-format -i $(c_files)

# cppcheck takes what a function fills through a pointer for uninitialised (clang's analyzer does
# not), and does not know the loops of jansson.
cppcheck := cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	--enable=warning,performance,portability --suppress=missingIncludeSystem \
	--suppress=uninitvar --suppress=ctuuninitvar -D_GNU_SOURCE= -Isrc \
	-D'json_object_foreach(o,k,v)=while (next(o, &k, &v))' \
	-D'json_array_foreach(a,i,v)=while (next(a, &i, &v))'

lint: export tidy_cflags = -std=gnu11 -D_GNU_SOURCE= -Isrc $(warnings) $(package_cflags)
lint:
	$(PYTHON) tools/layers.py
	shellcheck $(sh_files)
	$(cppcheck) src
	@echo clang-tidy
	@printf '%s\n' $(filter %.c,$(c_files)) | xargs -P $(shell nproc) -n 4 \
		sh -c 'clang-tidy --quiet "$$@" -- $$tidy_cflags' clang-tidy

# ---- installing ----
define newline


endef

bin_dir = $(DESTDIR)$(PREFIX)/bin
man_dir = $(DESTDIR)$(PREFIX)/share/man
doc_dir = $(DESTDIR)$(PREFIX)/share/doc/mpp
lib_dir = $(DESTDIR)$(PREFIX)/lib/mpp
man_pages := $(wildcard man/*.1 man/*.5 man/*.7)
docs := $(wildcard README.md ARCHITECTURE.md CHANGELOG.md LICENSE docs/*.md)
examples := $(wildcard configs/*.conf)
# The orchestrator looks for bin/ and configs/ beside the folder that it is in.
cli_files := $(wildcard cli/mpp/*.py cli/mpp/*/*.py cli/mpp/*/*.sh configs/*.py)
# man/x.5 -> man5/x.5
man_places := $(foreach page,$(man_pages),man$(subst .,,$(suffix $(page)))/$(notdir $(page)))

install: programs
	install -d $(bin_dir) $(doc_dir)/examples $(addprefix $(man_dir)/,$(sort $(dir $(man_places))))
	install $(programs) $(bin_dir)
	$(foreach place,$(man_places),install -m 644 man/$(notdir $(place)) $(man_dir)/$(place)$(newline)	)
	$(if $(docs),install -m 644 $(docs) $(doc_dir))
	$(if $(examples),install -m 644 $(examples) $(doc_dir)/examples)
	install -d $(addprefix $(lib_dir)/,$(sort $(dir $(cli_files))))
	$(foreach file,$(cli_files),install -m 644 $(file) $(lib_dir)/$(file)$(newline)	)
	install cli/cli.py $(lib_dir)/cli
	ln -sfn ../../bin $(lib_dir)/bin
	ln -sf ../lib/mpp/cli/cli.py $(bin_dir)/mpp_cli

uninstall:
	rm -f $(addprefix $(bin_dir)/,$(notdir $(programs)) mpp_cli) $(addprefix $(man_dir)/,$(man_places))
	rm -rf $(doc_dir) $(lib_dir)

clean:
	rm -rf build bin

help:
	@echo 'make                  the programs, into bin/ (CC=clang, CFLAGS=..., WERROR=1, V=1)'
	@echo 'make debug|asan|tsan  the programs of that variant, into build/<variant>/bin/'
	@echo 'make check            all tests, with sanitizers; a part: ARGS="--only unit sim"'
	@echo 'make check-long       more of each'
	@echo 'make fuzz             libFuzzer, FUZZ_SECONDS=$(FUZZ_SECONDS) for each target (clang)'
	@echo 'make demo             a chain over three shaped paths, shown live (root)'
	@echo 'make bench            measurements beside socat, HAProxy and nginx (root)'
	@echo 'make bench-paths      measurements over links with delay, loss and faults (root)'
	@echo 'make bench-echo       measurements of the echo suite (root)'
	@echo 'make bench-cli        measurements of planning and of the orchestrator (root)'
	@echo 'make bench-mcast      measurements of the multicast relay beside socat and nftables (root)'
	@echo 'make fmt              clang-format on all C files'
	@echo 'make lint             clang-tidy, cppcheck, shellcheck and the layer check'
	@echo 'make install          into PREFIX=$(PREFIX), below DESTDIR; make uninstall'
	@echo 'make clean            removes build/ and bin/'
	@echo 'tools/setup.sh demo|check|bench|dev   installs what these need'
