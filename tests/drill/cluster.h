/* Everything of one drill that runs: replica-servers and witnesses, each behind a faultproxy, a volume on them, and
 * hosts: a gateway with shared memory for a device and an application (the exerciser) on it. One host has the volume;
 * those before it are past. */
#ifndef TESTS_DRILL_CLUSTER_H
#define TESTS_DRILL_CLUSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "tests/drill/process.h"

#define DRILL_SERVERS_MAX 6u
#define DRILL_HOSTS_MAX 3u
#define DRILL_VOLUME_MIB 8u

struct server {
	struct process process, proxy;
	char data_dir[96], proxy_socket[96];
	unsigned port, proxy_port;
};

struct host {
	struct process gateway, app;
	char shm_path[96], run_dir[96], history_path[96], image_path[96];
	uint64_t seed;		 /* of its application */
	uint64_t serves_from_ns; /* when its application was seen to be served; 0: never */
	uint64_t contended_ns;	 /* another host wants the volume: requests may fail from here on; 0: none does */
	bool is_past;
	bool is_done; /* its application has ended as it should */
};

struct cluster {
	const char *build; /* directory of the programs */
	uint64_t seed, random;
	unsigned slow;		     /* factor on every bound */
	char dir[72], store_dir[72]; /* logs and the like; the replicas' data, sometimes in memory */
	char ip[20];
	struct server servers[DRILL_SERVERS_MAX];
	unsigned server_count, set_count;
	unsigned first_witness; /* number of the first server that only votes; server_count: none */
	struct host hosts[DRILL_HOSTS_MAX];
	unsigned host_count;
	bool may_fail;		    /* by policy, requests fail when a majority is missed for a second */
	unsigned deadline_ms;	    /* eviction deadline of the gateways */
	char gateway_words[16][24]; /* options of every gateway of this drill, by seed */
	unsigned gateway_word_count;
	char layout[128]; /* in words */
};

/* Servers, proxies, volume, the first host; returns when its application is served. */
void cluster_start(struct cluster *cluster, const char *build, uint64_t seed);
/* Everything is ended; what is on disk is removed unless `keep`. */
void cluster_end(struct cluster *cluster, bool keep);

/* By the seed, for all gateways of the drill. */
void cluster_choose_options(struct cluster *cluster);
/* Path of a program under test, in `path`. */
const char *cluster_program(const struct cluster *cluster, const char *name, char *path, size_t cap);

struct host *cluster_host(struct cluster *cluster);
uint64_t cluster_random(struct cluster *cluster, uint64_t below);

void server_start(struct cluster *cluster, struct server *server, const char *failpoint);
/* The listening socket is there, or the process is gone. */
void server_wait(struct cluster *cluster, struct server *server);
/* A command of the server's faultproxy. */
void server_proxy(struct server *server, const char *format, ...) printf_like(2, 3);

/* From the next start on its gateways wait as long as they do by default, for a machine that is too slow for less. */
void cluster_be_patient(struct cluster *cluster);

void gateway_start(struct cluster *cluster, struct host *host, const char *failpoint);
/* A new host with an application of its own; its gateway is not started. */
struct host *cluster_add_host(struct cluster *cluster);
/* Its application has been served; false: not within so long, or its gateway or application is gone. */
bool host_wait_served(struct cluster *cluster, struct host *host, unsigned ms);
/* Its gateway is killed, its application logs what will never be answered. */
void host_retire(struct cluster *cluster, struct host *host);

#endif
