# Lockstep: one non-recursive Makefile. `make help` lists the targets. All output goes to build/$(FLAVOR)/.
VERSION := 0.1.0
FLAVOR ?= release
B := build/$(FLAVOR)
Q := $(if $(V),,@)
prefix ?= /usr/local
bindir ?= $(prefix)/bin
sbindir ?= $(prefix)/sbin
mandir ?= $(prefix)/share/man
unitdir ?= $(prefix)/lib/systemd/system
udevdir ?= $(prefix)/lib/udev/rules.d
completiondir ?= $(prefix)/share/bash-completion/completions
sysconfdir ?= /etc

CC ?= cc
CFLAGS ?= -O2 -g
PKGS := liburing libssl libcrypto libprotobuf-c libcyaml jansson libisal libxxhash libsystemd
WARN := -Wall -Wextra -Wshadow -Wvla -Wundef -Wformat=2 -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	-Wwrite-strings -Wsign-compare -Wno-unused-parameter -fno-common
ifneq ($(DEVELOPER),)
WARN += -Werror
endif
HARDEN := -fstack-protector-strong -fPIE
LDHARDEN := -pie -Wl,-z,relro,-z,now,-z,noexecstack
SAN_asan := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
SAN_tsan := -fsanitize=thread -fno-omit-frame-pointer
SAN_ubsan := -fsanitize=undefined -fno-sanitize-recover=undefined
SAN := $(SAN_$(FLAVOR))
FORTIFY := $(if $(SAN),,-D_FORTIFY_SOURCE=2)
MUTANTS := $(if $(filter mutants,$(FLAVOR)),-DMUTANTS)

override CPPFLAGS += -D_GNU_SOURCE -I. -I$(B)/gen -DLOCKSTEP_VERSION='"$(VERSION)"' $(FORTIFY) $(MUTANTS)
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lev -lpthread
COMPILE = $(CC) -std=gnu11 $(CPPFLAGS) $(PKG_CFLAGS) $(CFLAGS) $(HARDEN) $(SAN) -MMD -MP
LINK = $(CC) $(CFLAGS) $(SAN) $(LDFLAGS) $(LDHARDEN)

objs = $(patsubst %.c,$(B)/%.o,$(sort $(wildcard $(1))))
PB_SRC := $(sort $(wildcard proto/*.proto))
PB_OBJ := $(PB_SRC:proto/%.proto=$(B)/gen/proto/%.pb-c.o)
PB_HDR := $(PB_SRC:proto/%.proto=$(B)/gen/proto/%.pb-c.h)
COMMON_OBJ := $(call objs,common/*.c)
PROTO_OBJ := $(call objs,proto/*.c) $(PB_OBJ)
GW_CORE_OBJ := $(call objs,gateway/core/*.c)
GW_DRV_OBJ := $(call objs,gateway/drivers/*.c)
GW_CLI_OBJ := $(call objs,gateway/cli/*.c)
RS_CORE_OBJ := $(call objs,replica-server/core/*.c)
RS_DRV_OBJ := $(call objs,replica-server/drivers/*.c)
RS_CHECK_OBJ := $(addprefix $(B)/replica-server/drivers/,store_check.o dir_lock.o replica_dir.o)
PROGRAMS := $(B)/lockstep-gateway $(B)/lockstep-replica $(B)/lockstep
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
TOOL_BIN := $(patsubst tests/native/%.c,$(B)/tests/native/%,$(sort $(wildcard tests/native/*.c)))
TOOL_PRELOAD := $(B)/tests/native/malloc_count.so $(B)/tests/native/disk_fault.so
TOOL_LIB_OBJ := $(call objs,$(filter-out %/malloc_count.c %/disk_fault.c,$(wildcard tests/native/lib/*.c))) $(B)/gateway/drivers/shm_ring.o
DRV_TEST_BIN := $(patsubst tests/drivers/%.c,$(B)/tests/drivers/%,$(sort $(wildcard tests/drivers/test_*.c)))
# Peer I/O without the engine: its tests bring an engine of their own.
PEER_OBJ := $(call objs,gateway/drivers/peer*.c gateway/drivers/lane*.c gateway/drivers/batch.c gateway/drivers/transport.c \
	gateway/drivers/connector*.c gateway/core/zc_policy.c)
SIM_OBJ := $(call objs,$(filter-out tests/sim/test_%,$(wildcard tests/sim/*.c)))
SIM_BIN := $(B)/tests/sim/sim $(B)/tests/sim/test_zones $(B)/tests/crash/crash
CRASH_OBJ := $(call objs,tests/crash/*.c)
BENCH_BIN := $(patsubst tests/bench/%.c,$(B)/tests/bench/%,$(sort $(wildcard tests/bench/*.c)))
BENCH_LIB_OBJ := $(call objs,tests/bench/lib/*.c) $(B)/tests/native/lib/tool.o $(B)/gateway/drivers/shm_ring.o
DRILL_BIN := $(B)/tests/drill/drill $(B)/tests/drill/test_judge
DRILL_OBJ := $(call objs,$(filter-out tests/drill/test_%,$(wildcard tests/drill/*.c))) $(B)/tests/sim/zones.o $(B)/replica-server/core/superblock.o \
	$(B)/gateway/drivers/volume_file.o $(GW_CORE_OBJ)
UNIT_HELP_OBJ := $(patsubst tests/unit/%.c,$(B)/tests/unit/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))

.PHONY: all help check asan ubsan tsan tidy format bench bench-native bench-hosts bench-resync bench-programs install uninstall clean tests \
	compdb
.SECONDARY:

all: $(PROGRAMS) ## build the three programs into build/release/

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20
	@echo "  variables: FLAVOR=release|debug|asan|ubsan|tsan DEVELOPER=1 (warnings are errors) CC=clang V=1 DESTDIR= prefix="

$(B)/lockstep-gateway: $(B)/gateway/main.o $(GW_DRV_OBJ) $(GW_CORE_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
$(B)/lockstep-replica: $(B)/replica-server/main.o $(RS_DRV_OBJ) $(RS_CORE_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
$(B)/lockstep: $(GW_CLI_OBJ) $(B)/gateway/drivers/volume_file.o $(GW_CORE_OBJ) $(RS_CORE_OBJ) $(RS_CHECK_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
$(PROGRAMS):
	@echo "  LINK $@"
	$(Q)$(LINK) -o $@ $^ $(LIBS)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC   $<"
	$(Q)$(COMPILE) $(WARN) -c -o $@ $<

# The one file for processors that have AVX2; it asks before it uses it.
$(B)/common/xxh3_avx2.o: CFLAGS += $(if $(filter x86_64,$(shell uname -m)),-mavx2)
# Its loop unrolled, which -O2 does not do: half the time on a real processor, a third on an emulated one.
$(B)/common/xxh3_portable.o: CFLAGS += -O3

# Generated code is built without our warnings and never committed.
$(B)/gen/proto/%.pb-c.c $(B)/gen/proto/%.pb-c.h: proto/%.proto
	@mkdir -p $(B)/gen
	$(Q)protoc-c --c_out=$(B)/gen $<
$(B)/gen/proto/%.pb-c.o: $(B)/gen/proto/%.pb-c.c
	$(Q)$(COMPILE) -w -c -o $@ $<
$(COMMON_OBJ) $(PROTO_OBJ) $(GW_DRV_OBJ) $(GW_CLI_OBJ) $(RS_DRV_OBJ): | $(PB_HDR)

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(UNIT_HELP_OBJ) $(GW_CORE_OBJ) $(RS_CORE_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcunit
$(B)/tests/unit/test_volume_file: $(B)/gateway/drivers/volume_file.o
$(B)/tests/unit/test_admin_socket: $(B)/gateway/drivers/admin.o
$(B)/tests/unit/test_gateway_opts: $(B)/gateway/drivers/opts.o
$(B)/tests/unit/test_run_dir: $(B)/gateway/drivers/run_dir.o
$(B)/tests/unit/test_events: $(addprefix $(B)/gateway/drivers/,events.o event_file.o)
$(B)/tests/unit/test_ublk_probe: $(addprefix $(B)/gateway/drivers/ublk_,probe.o ctl.o)
$(B)/tests/unit/test_ublk_takeover: $(B)/gateway/drivers/ublk_takeover.o $(B)/gateway/drivers/flight.o
$(B)/tests/unit/test_ublk_request: $(addprefix $(B)/gateway/drivers/ublk_,request.o bounce.o)
$(addprefix $(B)/tests/unit/test_store_,digest sync): $(addprefix $(B)/replica-server/drivers/,store_file.o buffers.o digest.o)
$(B)/tests/unit/test_witness_dir: $(addprefix $(B)/replica-server/drivers/,replica_make.o replica_dir.o dir_lock.o store_check.o)
CLI_TEST_OBJ := $(addprefix $(B)/gateway/cli/,options.o plan.o exit_codes.o mounts.o cli.o client.o status_view.o status_json.o event_source.o event_time.o)
$(filter $(B)/tests/unit/test_cli_%,$(UNIT_BIN)): $(CLI_TEST_OBJ)
$(B)/tests/drivers/test_%: $(B)/tests/drivers/test_%.o $(B)/tests/drivers/peer_world.o $(B)/tests/unit/check.o $(PEER_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcunit
$(B)/tests/native/%: $(B)/tests/native/%.o $(TOOL_LIB_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS)
$(B)/tests/bench/%: $(B)/tests/bench/%.o $(BENCH_LIB_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS)
$(B)/tests/sim/sim: $(SIM_OBJ) $(GW_CORE_OBJ) $(RS_CORE_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS)
$(B)/tests/crash/crash: $(CRASH_OBJ) $(RS_CORE_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS)
$(B)/tests/sim/test_zones: $(B)/tests/sim/test_zones.o $(B)/tests/sim/zones.o $(B)/tests/unit/check.o $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcunit
$(B)/tests/drill/test_judge: $(addprefix $(B)/tests/,drill/test_judge.o drill/judge.o sim/zones.o unit/check.o) $(TOOL_LIB_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS) -lcunit
$(B)/tests/drill/drill: $(DRILL_OBJ) $(TOOL_LIB_OBJ) $(PROTO_OBJ) $(COMMON_OBJ)
	$(Q)$(LINK) -o $@ $^ $(LIBS)
$(TOOL_PRELOAD): $(B)/tests/native/%.so: tests/native/lib/%.c
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(CPPFLAGS) $(CFLAGS) $(WARN) -fPIC -shared -o $@ $<

tests: all $(UNIT_BIN) $(DRV_TEST_BIN) $(TOOL_BIN) $(TOOL_PRELOAD) $(SIM_BIN) $(BENCH_BIN) $(DRILL_BIN) ## build the programs and all test programs
check: ## everything that needs no guest: tidy, unit, native
	tests/run tidy unit native
asan: ## unit and native tests under ASan and UBSan
	tests/run asan
ubsan: ## unit and native tests under UBSan alone
	tests/run ubsan
tsan: ## unit and native tests under TSan
	tests/run tsan
tidy: ## include directions, format, lengths, docs against code, shellcheck, clang-tidy, cppcheck
	tests/run tidy
format: ## clang-format everything in place
	clang-format -i $$(git ls-files '*.c' '*.h')
bench: ## block devices in a guest: Lockstep, NBD, NVMe/TCP, DRBD, all by fio (BENCH_ARGS=--smoke)
	tests/bench/guest $(BENCH_ARGS)
bench-native: ## the data path on loopback without ublk, beside NBD servers and the limit (BENCH_ARGS=--smoke)
	tests/bench/native $(BENCH_ARGS)
bench-hosts: ## gateway in a guest, replicas outside: from which size of a write on zero copy pays (BENCH_ARGS=--smoke)
	tests/bench/hosts $(BENCH_ARGS)
bench-resync: tests ## the application's rate beside a resync, as ratios (BENCH_ARGS="ROUNDS SECONDS")
	tests/bench/resync-beside-foreground.sh $(BENCH_ARGS)
bench-programs: $(PROGRAMS) $(BENCH_BIN)
compdb compile_commands.json: export COMPILE_COMMAND = $(COMPILE) $(WARN)
compdb compile_commands.json: ## compile_commands.json for editors and clang-tidy
	$(Q)tests/tools/compdb.sh > compile_commands.json

install: all ## programs, units, man pages, completion; honours DESTDIR and prefix
	DESTDIR='$(DESTDIR)' prefix='$(prefix)' B='$(B)' deploy/install.sh install
uninstall: ## remove what install put there
	DESTDIR='$(DESTDIR)' prefix='$(prefix)' B='$(B)' deploy/install.sh uninstall
clean: ## remove build/release etc., keep build/cache (downloads)
	rm -rf build/release build/debug build/asan build/ubsan build/tsan compile_commands.json

-include $(shell find $(B) -name '*.d' 2>/dev/null)
