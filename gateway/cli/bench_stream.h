/* Blocking bytes with a bound on every wait, for `lockstep bench`'s raw end and its client. */
#ifndef GATEWAY_CLI_BENCH_STREAM_H
#define GATEWAY_CLI_BENCH_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "common/err.h"

/* From non-blocking, as common/net.h makes them, to blocking with SO_RCVTIMEO and SO_SNDTIMEO. 0 or -errno. */
int stream_make_blocking(int fd, unsigned wait_seconds) must_check;
/* Resolved and connected. 0 and `*ret_fd` (the caller's), or -errno with "ADDRESS: reason". */
int stream_connect(const char *address, unsigned wait_seconds, int *ret_fd, struct err *err) must_check;
/* All of it, or -errno. */
int stream_send(int fd, const void *bytes, size_t len) must_check;
/* All of it; -ECONNRESET at an early end. */
int stream_receive(int fd, void *bytes, size_t len) must_check;
/* A line without its '\n', always terminated. 0, -EMSGSIZE, -ECONNRESET, ... */
int stream_line(int fd, char *ret, size_t cap) must_check;
/* Ends our direction, waits for the other side's end, closes: what was sent has arrived then. */
void stream_finish(int fd);

#endif
