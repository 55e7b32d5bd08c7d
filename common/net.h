/* TCP sockets as both daemons need them: non-blocking, close-on-exec, and unable to outlive their owner.
 *
 * Every socket gets TCP_NODELAY, SO_LINGER{1,0} and TCP_USER_TIMEOUT: a send whose notification never comes would pin
 * application memory after our death, and only purging the socket's write queue releases it. shutdown(2) and a plain
 * close(2) do not; net_abort() does, in every state and with operations armed on a ring. */
#ifndef COMMON_NET_H
#define COMMON_NET_H

#include <stdbool.h>
#include <sys/socket.h>

#include "common/address.h"
#include "common/compiler.h"
#include "common/err.h"

#define NET_BUFFER_BYTES (4 * MIB) /* asked for; the kernel grants what net.core.{w,r}mem_max allow */
#define NET_USER_TIMEOUT_MS 10000u /* tcp(7): unacknowledged data or a closed window for so long ends it */
#define NET_KEEPALIVE_IDLE_S 5	   /* ... and an idle connection is probed after so long, */
#define NET_KEEPALIVE_INTERVAL_S 2 /* this often, */
#define NET_KEEPALIVE_COUNT 3	   /* so many times */
#define NET_BACKLOG 128
#define NET_UNPACED "reno" /* tcp(7): in every kernel, and allowed to everyone */

struct net_address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* getaddrinfo(3), the first answer: BLOCKS while it asks the resolver. 0, or -ENOENT (no such host), -EAGAIN (the
 * resolver does not answer), -EIO, -ENOMEM with `err`. */
int net_resolve(const struct address *address, struct net_address *ret, struct err *err) must_check;

/* "10.0.0.3:7420" or "[fe80::1]:7420" of a resolved or accepted address; "?" for another family. */
void net_format(const struct net_address *address, char out[ADDRESS_CHARS_MAX + 1]);

/* A listening socket with SO_REUSEADDR; accepted sockets inherit its buffer sizes. 0 and `*ret_fd` (the caller
 * closes), or -EADDRINUSE, -EADDRNOTAVAIL, -EACCES, ... with `err`. */
int net_listen(const struct net_address *address, int *ret_fd, struct err *err) must_check;

/* Address and port really bound (port 0 asked for one). 0 or -errno. */
int net_local(int fd, struct net_address *ret) must_check;

/* One connection, tuned. 0 and `*ret_fd` (the caller closes), -EAGAIN: none waits, -EMFILE and the like: later. */
int net_accept(int listen_fd, int *ret_fd, struct net_address *ret_peer) must_check;

/* Starts connecting. 0: connected or under way: poll for writing, then net_connect_result(). `*ret_fd` is the
 * caller's to close. -errno with `err` when it fails at once. */
int net_connect_start(const struct net_address *address, int *ret_fd, struct err *err) must_check;

/* 0 or -errno of a connection attempt that has become writable (SO_ERROR). */
int net_connect_result(int fd) must_check;

/* All options of a connection; net_accept() and net_connect_start() have called it. 0 or -errno. Buffer sizes are
 * asked for, not insisted on. */
int net_tune(int fd) must_check;

/* Takes a connection that does not leave the host (`peer` is on loopback, or is the socket's own address) out of the
 * hands of a congestion control that paces its sends, as BBR does: there is no path to share, and each pause is a
 * timer's interrupt. Not insisted on. After connect(2) or accept(2): before, the socket's own address is not known. */
void net_tune_within_host(int fd, const struct sockaddr *peer);

/* Ends a connection NOW: reset sent, write queue purged, every armed operation ends (connect(2) with AF_UNSPEC).
 * The descriptor stays open; close it when the ring has given back what was armed on it. 0; or -errno where the stream
 * cannot be ended this way (kernel TLS: -EOPNOTSUPP) and its operations must be cancelled one by one. */
int net_abort(int fd) must_check;

#endif
