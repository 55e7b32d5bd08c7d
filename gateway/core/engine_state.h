/* The engine's insides, shared by the files of gateway/core that make it up and by nobody else.
 *
 * Rule of the house: a public event (engine.c) calls down into one of these modules and ends with engine_run(), which
 * starts the parts whose ranges became free meanwhile, and then looks at every set that something happened to
 * (set_progress). Nothing below starts a part of another request by itself, so there is no recursion from a completion
 * into the next request.
 *
 * Who decides what: attach.c speaks with one voter; assemble.c brings a set from the first answer to a chosen config
 * (R3); evict.c keeps the config true to who is there (R6, R7, R8); replace.c gives a vote to a new directory; lease.c
 * says when reads may start (R9); resync.c and copy.c make replicas equal (R3.7, R7), verify.c sees whether they are,
 * pace.c lets the application go first; read.c, write.c and flush.c move its data.
 */
#ifndef GATEWAY_CORE_ENGINE_STATE_H
#define GATEWAY_CORE_ENGINE_STATE_H

#include "common/mutant.h"
#include "gateway/core/engine.h"
#include "gateway/core/layout.h"
#include "gateway/core/leg.h"
#include "gateway/core/membership.h"
#include "gateway/core/slot.h"
#include "gateway/core/unsynced.h"

enum attach_phase {
	PHASE_IDLE,
	PHASE_PROBE, /* read only: nobody is fenced before it is known that it can succeed */
	PHASE_BOUND, /* the epoch is chosen; each set goes its own way */
};

/* Of one set, within PHASE_BOUND. */
enum set_phase { SET_WAITING, SET_PROMISE, SET_LIST, SET_STAMP, SET_ACCEPT, SET_SERVING };

/* What is under way between the decision to change the config and its choice. */
enum change_phase { CHANGE_NONE, CHANGE_STAMP, CHANGE_ACCEPT };

/* One region being compared and copied, in a slot of the engine's own (copy.c). */
enum copy_phase { COPY_IDLE, COPY_LOCKING, COPY_DIGEST, COPY_READ, COPY_WRITE };

/* For whom; bits, so that they can be asked for together. */
enum copy_purpose { COPY_REJOIN = 1, COPY_RECONCILE = 2, COPY_VERIFY = 4, COPY_ANY = 7 };

#define TAG_RESYNC 0x80000000u /* of asks by resync.c; others are gens or 0 */

struct copy {
	struct slot *slot;
	enum copy_phase phase;
	unsigned set;
	uint64_t region;
	uint64_t bytes;	 /* of the region */
	uint8_t targets; /* legs to make equal; more than the joiner when reconciling */
	uint8_t legs;	 /* all that it is about */
	uint8_t source;	 /* in the set; of the run being copied */
	enum copy_purpose purpose;
	bool is_read_only;     /* compared only */
	bool is_unseen;	       /* copied without comparing */
	bool is_premature;     /* a verify met what may differ lawfully: once more */
	bool is_stopped;       /* source or target lost, or attached anew: ends when nothing is outstanding */
	uint16_t round;	       /* tells answers to an earlier use apart */
	uint8_t digests_asked; /* legs whose answer is outstanding */
	uint8_t digests_held;
	uint8_t digests[SET_VOTERS_MAX][DIGEST_PIECES_MAX][DIGEST_BYTES];
	uint8_t wrong[DIGEST_PIECES_MAX]; /* legs that each piece is to be copied to */
	uint8_t right[DIGEST_PIECES_MAX]; /* and from which */
	uint16_t undecided;		  /* pieces that differ while nothing says who is right (verify.c) */
	uint16_t differ;		  /* pieces still to copy */
	uint8_t differing_legs;
	unsigned first_piece, piece_count; /* being copied */
};

/* How many bytes a second may be compared; 0: as fast as it goes (pace.c). */
struct pace {
	uint64_t bytes_per_s;
	uint64_t budget, refilled_ns;
};

/* What the application got done in so much time; work in KiB, about. */
struct turn_sum {
	uint64_t ns, work;
};

/* The application's and the copying's (pace.c). */
struct turns {
	bool is_burst;
	uint64_t since_ns;	/* of the turn, or since the application has been busy in it */
	uint64_t work;		/* the application's since then */
	uint64_t owed_ns;	/* rest that was too short to be taken */
	uint64_t rest_until_ns; /* no region is begun before while it has requests; 0: none is waited for */
	struct turn_sum beside, alone;
};

/* A comparison of all in-sync replicas that people asked for (verify.c). One at a time, one set after the other. */
struct verify {
	struct verify_order order;
	struct verify_status status;
	struct pace pace;
	unsigned set;
	uint64_t next;		      /* region */
	uint64_t retry[RESYNC_SLOTS]; /* regions whose comparison was stopped */
	unsigned retry_count;
	unsigned stops;		 /* one after the other, without a region that was compared */
	uint64_t waits_since_ns; /* for what may never come; 0: does not */
	bool is_ending;		 /* begins nothing new */
};

struct set {
	unsigned index;
	unsigned first_leg, leg_count;
	uint8_t all_legs; /* bit per leg: voters */
	uint8_t data_legs;
	uint8_t up_legs; /* with a session */
	enum set_phase phase;
	uint64_t phase_ns;
	struct membership members;

	struct range_lock lock;
	struct list held;    /* reads that have not asked for their range: its regions are uncertain, or recovery */
	struct list waiting; /* parts that hold their range and wait for the set, oldest first */
	struct list writes;  /* parts sent and not acknowledged by all, by wseq */
	struct list flushes; /* parts sent */

	/* Attach (R3). */
	struct config adopted; /* PHASE_BOUND, from SET_LIST on */
	uint32_t adopted_no;   /* of the report that had it */
	uint8_t counted;       /* legs counted in sync */
	uint8_t rolled_back;   /* legs in sync by the adopted config that say that they never promised its epoch */
	uint8_t replaced;      /* legs that answered and are directories that others have replaced */
	uint8_t compare_all;   /* legs that must be compared in full */
	bool lost_lists;       /* no counted member is the process that it was: everything is uncertain */
	bool lost_data;	       /* ... nor on the kernel it was on */
	bool is_forced;	       /* ... and some in-sync members are given up by the operator's word */
	bool is_doubtful; /* no list tells what is uncertain: the configs keep naming the processes that had lists, so
			   * that a successor starts over as well, until all was made equal */
	bool is_whole;	  /* everything is uncertain */
	bool was_ours;	  /* a config of this attachment was chosen once: only ours may be adopted again (R10) */
	uint32_t new_gen;
	uint64_t ack_from_ns; /* no write is acknowledged before (R3.6) */

	/* Change of config (R6). */
	enum change_phase change;
	uint64_t change_ns;
	uint8_t target; /* in-sync set of the change */
	uint32_t change_gen;
	struct region_map stamp_map; /* U */
	uint8_t evicting;	     /* in-sync members that were lost and not let back */
	uint8_t forgetful;	     /* ... and let back as another process; see set_has_forgetful() */
	bool is_suspended;
	bool needs_look;  /* engine_run() looks at it before it returns */
	bool has_put_off; /* a write is to be repeated, after a copy */
	bool is_failing;  /* R12: suspended for so long that requests fail */
	uint64_t suspended_ns, resumed_ns;
	uint64_t unserved_ns;	    /* since when it has been attached again in place; 0: it is not */
	const char *suspend_reason; /* static text; while suspended */
	uint64_t lease_until_ns;

	struct unsynced unsynced;
	struct region_map uncertain;
	uint64_t reconcile_next, reconcile_total, reconcile_ns, reconcile_bytes;
	uint64_t copies_rest_ns; /* no copy before: a replica that nobody can do without could not be read; 0: none */
	bool can_forget;	 /* everything uncertain was made equal, and then durable */
	uint8_t syncing;	 /* legs being taken back */

	uint64_t next_wseq;
	uint64_t stable_upto;	   /* R5 */
	uint64_t told_upto;	   /* ... that every required leg has been told of: its list is that short */
	uint8_t last_syncs;	   /* of a detach: they make nothing durable, and shorten the lists */
	uint64_t failed_from;	   /* lowest wseq that failed; stable_upto never reaches it. UINT64_MAX: none */
	uint64_t completed_writes; /* how many, and what else is read since: copies that made them equal, writes that
				      failed; compared with synced_writes to see whether a SYNC is due */
	uint64_t synced_writes;
	uint64_t sync_ns; /* when the last background SYNC was started */

	unsigned read_leg; /* reads stay here for `read_left` more */
	uint32_t read_left;
};

struct engine {
	struct volume_spec spec;
	struct engine_options options;
	const struct engine_ops *ops;
	void *ctx;
	uint64_t now_ns;

	enum volume_state state;
	uint64_t state_ns;
	enum attach_phase phase;
	uint64_t phase_ns;
	bool is_attached; /* once, and reported */
	bool is_detached;
	bool is_recovering;  /* R11: reads wait */
	bool is_reattaching; /* abort and begin again as soon as nobody is in the middle of an event */
	uint64_t detach_ns;

	char failure[256];  /* why VOLUME_FAILED */
	char obstacle[256]; /* what an attach, the first or another one, could not go on without when it last looked */

	struct ballot ballot; /* epoch 0: not chosen yet */
	uint32_t told;	      /* reports of voters about their state, so far */
	struct layout layout;
	unsigned leg_count;
	struct leg *legs;
	struct set *sets; /* spec.set_count */
	unsigned parts_per_slot;
	unsigned slot_count; /* queue_depth for requests, one a set for its background SYNC, RESYNC_SLOTS */
	struct slot *slots;
	struct part *parts;
	uint64_t *map_words; /* all region maps */
	struct copy copies[RESYNC_SLOTS];
	struct pace resync_pace;
	uint64_t foreground_ns; /* when a request of the application's last came or was completed */
	struct turns turns;
	struct verify verify;
	struct list ready; /* parts whose range was granted, by range.granted */
	uint64_t generation;
	struct message message; /* scratch: too large for a stack */

	unsigned outstanding, outstanding_reads;
	struct engine_status counters; /* only the counters in it */
};

static inline struct set *set_of(struct engine *engine, const struct part *part)
{
	return &engine->sets[part->at.set];
}

static inline struct leg *set_leg(struct engine *engine, const struct set *set, unsigned in_set)
{
	return &engine->legs[set->first_leg + in_set];
}

static inline struct set *leg_set(struct engine *engine, const struct leg *leg)
{
	return &engine->sets[leg->set];
}

static inline uint8_t leg_bit(const struct leg *leg)
{
	return (uint8_t)(1u << leg->in_set);
}

static inline uint8_t set_voting(struct engine *engine, const struct set *set)
{
	uint8_t legs = 0;

	for (unsigned i = 0; i < set->leg_count; i++)
		legs |= (uint8_t)((unsigned)leg_has_vote(set_leg(engine, set, i)) << i);
	return legs;
}

static inline uint8_t set_required(const struct set *set)
{
	return membership_required(&set->members) & (MUTANT(serve_without_all) && set->up_legs ? set->up_legs : 0xff);
}

/* No lease of an older gateway is running any more (R3.6). */
static inline bool set_has_outlived(const struct engine *engine, const struct set *set)
{
	return set->ack_from_ns <= engine->now_ns;
}

/* What was never acknowledged may be read (R3.7, R9). */
static inline bool set_may_reveal(const struct engine *engine, const struct set *set)
{
	return set_has_outlived(engine, set) || MUTANT(reconciled_within_a_lease);
}

/* Of `legs` some that lost their lists and came back while others were lost, in a config of `in`: only their older
 * names tell a successor that nobody's list has what they alone had stored. Alone, they have nobody to differ from. */
static inline bool set_has_forgetful(const struct set *set, uint8_t legs, uint8_t in)
{
	return (set->forgetful & legs) && __builtin_popcount(in) > 1 && !MUTANT(forgetful_is_named);
}

/* Replicas that may answer reads: in sync by the chosen config, with a session. */
static inline uint8_t set_readable(const struct set *set)
{
	return set->phase == SET_SERVING ? (MUTANT(syncing_is_read) ? set->data_legs : set->members.in) & set->up_legs
					 : 0;
}

/* New requests may go to the set. */
static inline bool set_is_open(const struct engine *engine, const struct set *set)
{
	return engine->is_attached && engine->state != VOLUME_FAILED && set->phase == SET_SERVING &&
	       (set_required(set) & set->up_legs) != 0;
}

static inline const struct replica_spec *leg_replica(const struct engine *engine, const struct leg *leg)
{
	return &engine->spec.sets[leg->set].replicas[leg->in_set];
}

/* What `config` says of the leg; NULL: nothing. */
static inline const struct voter *leg_voter(const struct engine *engine, const struct config *config,
					    const struct leg *leg)
{
	return config_voter(config, &leg_replica(engine, leg)->uuid);
}

/* engine.c */
void engine_run(struct engine *engine);
void engine_set_state(struct engine *engine, enum volume_state state);
/* Serving or suspended, by the sets. */
void engine_refresh_state(struct engine *engine);
/* For good: the attach is refused, or the volume was taken over. All outstanding requests fail once nothing touches
 * their memory any more. */
void engine_fail(struct engine *engine, int error, const char *text);
/* `leg` may be NULL. */
void engine_tell(struct engine *engine, enum engine_event_kind kind, const struct set *set, const struct leg *leg,
		 uint64_t duration_ns, const char *format, ...) printf_like(6, 7);

/* slot.c */
uint64_t slot_new_id(struct engine *engine, unsigned slot, unsigned part);
void slot_submit(struct engine *engine, const struct request *request);
/* A FLUSH of one set on nobody's behalf, in the set's own slot, which must be free. */
void slot_submit_sync(struct engine *engine, struct set *set);
struct slot *slot_of_sync(struct engine *engine, const struct set *set);
/* NULL: not one of the resync's. */
struct copy *slot_copy(struct engine *engine, const struct slot *slot);
unsigned slot_index(const struct engine *engine, const struct slot *slot);
/* Takes one of the resync's slots for a range of one set; true: the range is held already. */
bool slot_take_copy(struct engine *engine, struct copy *copy, const struct layout_part *at) must_check;
/* It waits for its range: true, held now, past changes that wait for their slot's other parts or for a rejoin. */
bool slot_pass_copy(struct engine *engine, struct copy *copy) must_check;
void slot_free_copy(struct engine *engine, struct copy *copy);
/* The part in flight that `id` names, or NULL. */
struct part *slot_find_part(struct engine *engine, uint64_t id);
/* Once a part has its range: now if its set is open, later otherwise. */
void part_start(struct engine *engine, struct part *part);
void part_wait(struct engine *engine, struct part *part);
/* Gives the range up and waits for its regions to become certain. */
void part_hold(struct engine *engine, struct part *part);
void part_done(struct engine *engine, struct part *part, int error);
bool part_is_outstanding(const struct part *part);
void slot_released(struct engine *engine, struct slot *slot);
/* Starts again what waits for the set and may go. */
void set_drain(struct engine *engine, struct set *set);
/* Held reads whose regions are certain by now ask for their range. */
void set_unhold(struct engine *engine, struct set *set);
/* Every lane is closed: fails whatever is left. */
void slots_fail_all(struct engine *engine);

/* link.c: the life of a leg's connections */
void link_connect(struct engine *engine, struct leg *leg);
void link_abort(struct engine *engine, struct leg *leg, const char *format, ...) printf_like(3, 4);
void link_abort_all(struct engine *engine, const char *reason);
void link_connected(struct engine *engine, struct leg *leg, enum lane lane);
void link_closed(struct engine *engine, struct leg *leg, enum lane lane, int error, const char *reason);
void link_up(struct engine *engine, struct leg *leg);
void link_tick(struct engine *engine, struct leg *leg);
bool links_are_down(const struct engine *engine);

/* attach.c: the conversation with one voter */
void attach_hello(struct engine *engine, struct leg *leg, enum lane lane);
void attach_message(struct engine *engine, struct leg *leg, enum lane lane, const struct message *message);
/* Sends engine->message on MAIN; the answer finds `tag` again. */
void attach_ask(struct engine *engine, struct leg *leg, enum message_kind kind, uint32_t tag);
void attach_probe(struct engine *engine, struct leg *leg);
void attach_promise(struct engine *engine, struct leg *leg);
void attach_accept(struct engine *engine, struct leg *leg, const struct config *config);
void attach_open(struct engine *engine, struct leg *leg);
/* By its answer to PROBE its disk is older than the adopted config. Refused; asked again if the answer may be older
 * than that config itself. */
void attach_rolled_back(struct engine *engine, struct leg *leg);
/* STAMP of the next runs of `map` from leg->job_from on, with `gen`; JOB_DONE after the last. */
void attach_stamp(struct engine *engine, struct leg *leg, const struct region_map *map, uint32_t gen, bool sync);
/* Does this page of a list, asked for `from` this region on, go forward, so that the list ends? False: dealt with. */
bool attach_page_fits(struct engine *engine, struct leg *leg, const struct message_regions *regions, uint64_t from);

/* assemble.c: from the first answer to a chosen config (R3, R10, R11) */
void assemble_progress(struct engine *engine);
void assemble_set(struct engine *engine, struct set *set);
void assemble_got_list(struct engine *engine, struct leg *leg, const struct message_regions *regions);
void assemble_lost(struct engine *engine, struct leg *leg);
void assemble_chosen(struct engine *engine, struct set *set);
/* The new epoch's beginning, when no event is being handled. */
void assemble_restart(struct engine *engine);
bool assemble_is_complete(const struct engine *engine);
/* A promise or config of somebody else was seen: attach again in place, or give up. */
void assemble_contended(struct engine *engine, struct leg *leg, const struct ballot *seen);
void assemble_again(struct engine *engine, const char *cause);

/* adopt.c: which epoch and config an attachment gets. Pure decisions. */
int adopt_epoch(const struct engine *engine, uint32_t *ret_epoch, struct err *err) must_check;
/* What a set can be made of, of the voters in `answered`: fills `adopted`, `replaced` and `rolled_back` (who are not
 * counted for that), `counted`, `compare_all`, `lost_lists`, `lost_data`, `is_forced`, `new_gen`. */
int adopt_set(struct engine *engine, struct set *set, uint8_t answered, struct err *err) must_check;
void adopt_config(struct engine *engine, struct set *set, struct config *ret);
/* The config with `in` in sync, as a change of the chosen one. */
void adopt_change(struct engine *engine, struct set *set, uint32_t gen, uint8_t in, struct config *ret);
/* Out by `config` and to be compared by stamps, but its disk may have been set back to an older copy meanwhile: it does
 * not know that it was in sync for so long. No config that says so may be stored there before one that has it compared
 * in full: afterwards nobody could tell. */
bool adopt_may_lack(const struct engine *engine, const struct config *config, const struct leg *leg);
/* `config` does not say so of everybody who votes. */
bool adopt_is_unaware(struct engine *engine, const struct set *set, const struct config *config);
/* Who is in sync by a config had durably promised its epoch before it was proposed; `leg` has not, by its answer to
 * PROBE. */
bool adopt_is_rolled_back(const struct engine *engine, const struct set *set, const struct leg *leg);
bool adopt_is_ours(const struct engine *engine, const struct ballot *ballot);
/* Somebody else's, and it keeps ours from being promised. */
bool adopt_is_foreign(const struct engine *engine, const struct ballot *promised);

/* replace.c: a replica whose directory was lost and made anew */
/* It says that it is blank. */
void replace_met(struct engine *engine, struct leg *leg);
/* By the config that the set adopted: which directories have the votes. */
void replace_adopted(struct engine *engine, struct set *set);
/* Another directory has its vote, as far as is known by now. */
bool replace_is_old(struct engine *engine, const struct leg *leg);
void replace_refuse_old(struct engine *engine, struct leg *leg);
/* A blank one waits for a config that gives it its vote. */
bool replace_is_due(struct engine *engine, const struct set *set);
/* The config of `gen` will: it is about to be proposed. */
void replace_name(struct engine *engine, struct set *set, uint32_t gen);
void replace_fill(const struct leg *leg, struct voter *voter);
/* To blank ones whose config is chosen. */
void replace_seed(struct engine *engine, struct set *set);
void replace_seeded(struct engine *engine, struct leg *leg);
void replace_lost(struct leg *leg);

/* evict.c: the config follows who is there (R6, R8) */
void evict_progress(struct engine *engine, struct set *set);
/* The replica may carry no data until its server was started anew. */
void evict_faulty(struct engine *engine, struct leg *leg, const char *format, ...) printf_like(3, 4);
/* A config of ours was stored by a voter. */
void evict_accepted(struct engine *engine, struct leg *leg, uint32_t gen);
void evict_stamped(struct engine *engine, struct leg *leg);
/* A leg as the process whose memory counts: same kernel and same start of its server. */
bool evict_is_same_process(const struct leg *leg);
/* It may carry data, as far as its own state goes. */
bool evict_is_fit(const struct engine *engine, const struct leg *leg);
unsigned evict_least(const struct engine *engine, const struct set *set);
/* Fewer in sync than min-in-sync: no write completes before a rejoin. */
bool evict_is_short(const struct engine *engine, const struct set *set);
void evict_tick(struct engine *engine, struct set *set);
/* An answer to a write took so long. */
void evict_note_latency(struct engine *engine, struct leg *leg, uint64_t latency_ns);

/* lease.c */
void lease_tick(struct engine *engine, struct leg *leg);
void lease_answered(struct engine *engine, struct leg *leg, uint64_t sent_ns);
void lease_refresh(struct engine *engine, struct set *set);
bool lease_is_held(const struct engine *engine, const struct set *set);

/* resync.c, copy.c */
void resync_progress(struct engine *engine, struct set *set);
void resync_tick(struct engine *engine, struct set *set);
void resync_up(struct engine *engine, struct leg *leg);
void resync_lost(struct engine *engine, struct leg *leg);
void resync_chosen(struct engine *engine, struct set *set, uint8_t joined);
void resync_got_regions(struct engine *engine, struct leg *leg, const struct message_regions *regions, uint32_t tag);
void resync_stamped(struct engine *engine, struct leg *leg, uint32_t tag);
void resync_barrier_answered(struct engine *engine, struct leg *leg, const struct frame *reply);
/* Legs whose last FLUSH was answered: they go in with the next config. */
uint8_t resync_joiners(struct engine *engine, const struct set *set);
void resync_copied(struct engine *engine, struct copy *copy);
/* The lists of older attachments have done their work (R5, R3.7). True: some replica was told so just now. */
bool resync_forget_lists(struct engine *engine, struct set *set);
/* Its disk could not be read to be compared, and its connection ends with `why`. */
void resync_unreadable(struct engine *engine, struct leg *leg, const char *why);
bool copy_begin(struct engine *engine, struct set *set, uint64_t region, uint8_t source, uint8_t targets,
		enum copy_purpose purpose) must_check;
void copy_locked(struct engine *engine, struct copy *copy);
void copy_digested(struct engine *engine, struct leg *leg, uint32_t tag, const struct message_digested *digested);
void copy_read_done(struct engine *engine, struct copy *copy);
void copy_read_failed(struct engine *engine, struct copy *copy, struct leg *leg);
void copy_written(struct engine *engine, struct copy *copy, struct leg *leg, const struct frame *reply);
void copy_leg_lost(struct engine *engine, struct leg *leg);
void copy_stop_all(struct engine *engine, struct set *set);
void copy_tick(struct engine *engine);
void copy_mark_unsynced(struct engine *engine, struct set *set);
/* Of one set, or (NULL) of all; `purposes`: enum copy_purpose. */
unsigned copy_active(const struct engine *engine, const struct set *set, unsigned purposes);
unsigned copy_pieces(const struct copy *copy);
bool copy_is_of(const struct engine *engine, const struct set *set, uint64_t region);

/* pace.c: who goes first, the application or what makes replicas equal */
void pace_refill(struct pace *pace, uint64_t now_ns);
void pace_spend(struct pace *pace, uint64_t bytes);
bool pace_allows(const struct engine *engine, const struct pace *pace);
/* A request of the application's, before it counts as outstanding. */
void pace_request_comes(struct engine *engine);
void pace_request_done(struct engine *engine, uint64_t work);
/* A region is begun; one has ended. */
void pace_began(struct engine *engine);
void pace_ended(struct engine *engine);
/* What rested may be looked at again. */
void pace_wake(struct engine *engine);

/* verify.c */
void verify_progress(struct engine *engine, struct set *set);
void verify_tick(struct engine *engine);
/* All digests of a region are there: who is right, piece by piece. */
void verify_judge(struct engine *engine, struct copy *copy);
void verify_region_done(struct engine *engine, struct copy *copy);
void verify_region_stopped(struct engine *engine, struct copy *copy);
/* Begins nothing new; over when nothing of it is under way. `why` is copied. */
void verify_end(struct engine *engine, const char *why);
/* One of two that are compared cannot be read. */
void verify_unreadable(struct engine *engine, const struct set *set, const char *why);

/* read.c */
void read_start(struct engine *engine, struct part *part);
void read_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply,
		   struct read_target *ret);
void read_placed(struct engine *engine, struct leg *leg, uint64_t id);
void read_zeroed(struct engine *engine, uint64_t id, int error);
/* Its leg is lost: asks another. */
void read_reissue(struct engine *engine, struct part *part);
/* Its regions may be read now. */
bool read_is_certain(const struct engine *engine, const struct set *set, const struct part *part);

/* write.c */
void write_start(struct engine *engine, struct part *part);
/* To a leg whose session is new: everything that it has not acknowledged, in order. */
void write_resend(struct engine *engine, struct leg *leg);
/* What the leg acknowledged in an earlier life counts no more. */
/* Do these legs have every write of the range that holds it? */
bool write_is_stored(const struct set *set, uint64_t start, uint64_t length, uint8_t legs);
void write_forget_acks(struct engine *engine, struct leg *leg);
void write_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply);
void write_released(struct engine *engine, struct leg *leg, uint64_t id);
/* Who must acknowledge has changed. */
void write_recheck(struct engine *engine, struct set *set);
/* R12: they fail; their regions are uncertain from here on. */
void write_fail_all(struct engine *engine, struct set *set);
/* A driver that reported a lane closed with sends outstanding broke its promise. */
bool write_borrows(const struct engine *engine, const struct leg *leg);

/* flush.c */
void flush_start(struct engine *engine, struct part *part);
void flush_resend(struct engine *engine, struct leg *leg);
void flush_answered(struct engine *engine, struct leg *leg, struct part *part, const struct frame *reply);
void flush_fail(struct engine *engine, struct part *part, int error);
void flush_recheck(struct engine *engine, struct set *set);
bool flush_is_due(const struct set *set);
void flush_tick(struct engine *engine, struct set *set);
/* U of an eviction of `leg`, added to `ret` (R6). */
void flush_unsynced(struct engine *engine, const struct set *set, const struct leg *leg, struct region_map *ret);
/* While detaching: the next SYNC, or the end. */
void flush_detach_progress(struct engine *engine);
void flush_sync_done(struct engine *engine, struct set *set, int error);

/* reply.c */
int reply_dispatch(struct engine *engine, struct leg *leg, enum lane lane, const struct frame *reply,
		   struct read_target *ret) must_check;

#endif
