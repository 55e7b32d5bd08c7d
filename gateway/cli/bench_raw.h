/* The raw end of `lockstep bench`: on a replica's machine, `lockstep bench --serve DIR` lets another machine measure
 * DIR's disk and the network to it, with nothing of Lockstep in between. A program of its own, run for the measurement:
 * the replica-server that keeps data has no part in it.
 *
 * One command a connection, one line of at most RAW_LINE_MAX characters:
 *   disk w|r s|r BYTES DEPTH SECONDS   -> "ok OPS BYTES NS"      (w: write, then s: in sequence, r: at random)
 *   take                               then bytes until the other side's end -> "ok 0 BYTES NS"
 *   give SECONDS                       -> bytes, until the end
 *   echo                               each 64 bytes come back, until the end
 * or "error TEXT". Whoever can connect can make the disk busy, and nothing else. */
#ifndef GATEWAY_CLI_BENCH_RAW_H
#define GATEWAY_CLI_BENCH_RAW_H

#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/cli/bench_io.h"

#define RAW_PORT_DEFAULT 7429u
#define RAW_LINE_MAX 255u
#define RAW_ECHO_BYTES 64u

/* Serves until SIGINT or SIGTERM (held by cli_hold_signals()). `listening` is called once, when others may connect. */
int raw_serve(const char *dir, const char *listen, uint64_t size_bytes, void (*listening)(void *ctx, const char *how),
	      void *ctx, struct err *err) must_check;

/* The other end, each on a connection of its own to `address`. 0 or -errno with "ADDRESS: reason". */
int raw_disk(const char *address, const struct bench_job *job, unsigned seconds, struct bench_result *ret,
	     struct err *err) must_check;
int raw_send(const char *address, unsigned seconds, struct bench_result *ret, struct err *err) must_check;
int raw_receive(const char *address, unsigned seconds, struct bench_result *ret, struct err *err) must_check;
/* Round trips: ops and time. */
int raw_echo(const char *address, unsigned seconds, struct bench_result *ret, struct err *err) must_check;

#endif
