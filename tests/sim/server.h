/* A simulated replica-server with one replica on a host and disk of its own: the real struct replica inside. */
#ifndef TESTS_SIM_SERVER_H
#define TESTS_SIM_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "replica-server/core/replica.h"
#include "tests/sim/disk.h"
#include "tests/sim/geometry.h"
#include "tests/sim/net.h"
#include "tests/sim/process.h"
#include "tests/sim/set_back.h"

#define SIM_SERVER_LANES 12u
#define SIM_ASKED_MAX (LANE_VOTER_MAX + 2u)
#define SIM_LANE_IN_BYTES 16384u
#define SIM_BUFFERS_MAX 64u
#define SIM_FLUSHES_KEPT 64u
#define SIM_EPOCHS_KEPT 16u

struct world;
struct event;

struct server_lane {
	struct replica_lane lane;
	bool is_used, is_attached; /* HELLO was taken */
	bool is_closing;	   /* its end has been announced: EVENT_SERVER_LANE_GONE is on its way */
	bool waits;		   /* for a bounded resource */
	unsigned conn;
	uint64_t serial; /* of the connection */
	struct {
		enum message_kind kind;
		uint64_t id;
	} asked[SIM_ASKED_MAX]; /* control messages without an answer, in order */
	unsigned asked_first, asked_count;
	bool control_held; /* the next one waits until the lane takes it */
	uint32_t in_start, in_end;
	struct served *receiving;
	uint32_t received, discard_left;
	uint8_t last_reply[FRAME_BYTES]; /* for the fault that repeats one */
	bool has_last_reply;
	struct world *world;
	struct server *server;
	uint8_t in[SIM_LANE_IN_BYTES];
};

struct server {
	struct process process;
	unsigned index, set;
	int32_t drift_ppm; /* of its clock */
	bool host_is_up;
	bool refuses;	  /* connections */
	bool is_stopping; /* in order */
	bool is_away;	  /* until the others have shown that they can do without it */
	struct server_identity identity;
	struct replica replica;
	bool has_replica;
	struct served_pool pool;
	bool has_pool;
	struct disk disk;
	struct set_back set_back;
	struct server_lane lanes[SIM_SERVER_LANES];
	struct io_buf buffers[SIM_BUFFERS_MAX];
	struct io_buf *free_buffers[SIM_BUFFERS_MAX];
	unsigned free_buffer_count;
	uint8_t *buffer_memory;
	struct world *world;
	struct message message; /* scratch */
	uint8_t packed[SIM_LANE_IN_BYTES];
	/* What it has answered: nothing below this may be executed any more. */
	uint32_t answered_epoch;
	uint32_t answered_session;
	/* A directory of it was lost, and perhaps is back (w_replace, w_return). */
	bool has_old, is_old;
	uint32_t old_answered_epoch;
	bool has_failed;	       /* an fsync failed since the process started */
	uint32_t started_failed_syncs; /* as its superblock counted them then */
	/* FLUSHes that came, and after how many requests of the session. */
	struct {
		uint64_t id, arrival;
	} flushes[SIM_FLUSHES_KEPT];
	unsigned flush_count;
	uint32_t forgotten_epoch; /* lists of epochs below it were forgotten on demand */
	/* How far each of the last epochs was called stable here. */
	struct {
		uint32_t epoch;
		uint64_t upto;
	} stable[SIM_EPOCHS_KEPT];
};

void server_init(struct world *world, unsigned index); /* memory, once */
void server_fini(struct server *server);
/* A fresh disk, as after `volume create`; not running. */
void server_reset(struct world *world, unsigned index);
void server_start(struct world *world, struct server *server);
/* SIGTERM: ends in order, as long as nothing kills it meanwhile. */
void server_stop(struct world *world, struct server *server);
/* SIGKILL: what is with the kernel goes on or not, what is written stays. */
void server_kill(struct world *world, struct server *server);
/* As kill, and what was not synced is lost, kept or torn. */
void server_power_loss(struct world *world, struct server *server);

/* While it is down: its directory is lost, and the operator makes a blank one. */
void server_replace(struct world *world, struct server *server);
/* Ends it; the directory that was lost is in the place of the new one, or the new one is back. */
void server_swap(struct world *world, struct server *server);
/* Is the directory that it has the one that a config with this life gives the vote? */
bool server_is_voter(const struct server *server, uint64_t life);
/* That it reports, or would if it were started now. */
struct uuid server_boot_id(const struct server *server);
uint64_t server_clock(const struct world *world, const struct server *server);
void server_on_disk(struct world *world, struct server *server, struct store_op *op);
void server_lane_gone(struct world *world, struct server *server, unsigned lane, uint64_t serial);
/* Everything that can move without another event, moves. */
void server_settle(struct world *world, struct server *server);

/* server_lane.c */
/* False: no room for another connection. */
bool server_accept(struct world *world, struct server *server, struct conn *conn) must_check;
/* Bytes from the network; at most server_room(). */
void server_receive(struct world *world, struct conn *conn, const uint8_t *bytes, size_t length);
size_t server_room(const struct world *world, const struct conn *conn);
void server_peer_closed(struct world *world, struct conn *conn);
/* False: nothing to look at, or not now. */
bool server_lane_parse(struct server_lane *lane);
void server_lane_begin_close(struct server_lane *lane, bool keep_all);

#endif
