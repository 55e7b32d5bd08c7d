/* Planted faults, to see whether the tests find them: `if (MUTANT(ack_after_one_copy)) ...` in core code.
 *
 * In every ordinary build MUTANT() is the constant false and costs nothing. With FLAVOR=mutants one of them, or none,
 * is switched on by name (tests/sim/sim --mutant NAME; tests/sim/mutants runs them all). Each is one clause of the
 * protocol left out; its line says which. Add a name here, one line where it bites, and nothing else.
 */
#ifndef COMMON_MUTANT_H
#define COMMON_MUTANT_H

#include <stdbool.h>

/* Name, what is wrong then. */
#define MUTANT_LIST(X)                                                                                                 \
	X(no_range_lock, "P4: overlapping requests run at the same time")                                              \
	X(reads_pass_writes, "P4: a read does not wait for writes of its range, nor a write for reads")                \
	X(torn_superblock_taken, "a superblock slot with a wrong checksum is believed")                                \
	X(slot_of_two_writes_taken,                                                                                    \
	  "a superblock slot with the header of one write and the config of another is believed")                      \
	X(ack_after_one_copy, "P1: a write completes when the first replica has acknowledged it")                      \
	X(write_error_ignored, "P1: a write completes though a replica could not write it")                            \
	X(no_resend, "a replica that comes back does not get what it has not acknowledged")                            \
	X(crc_mismatch_ignored, "R13: replicas that stored different bytes are not made equal")                        \
	X(repeat_without_copy, "R13: a write is repeated from the changing buffer, not from a private copy")           \
	X(range_released_early, "R11: a range is given up with its part, before the request completes (seed 107)")     \
	X(completion_before_release, "P6: a write completes while a send may still read its memory")                   \
	X(one_part_is_enough, "a request completes with its first part")                                               \
	X(short_read_not_zeroed, "P7: the tail of a short read is what was in the memory before")                      \
	X(read_error_is_success, "P7: a read that the replica failed completes as if it had bytes")                    \
	X(stable_too_high, "R5: writes that were sent but not acknowledged count as stable")                           \
	X(stable_taken_late,                                                                                           \
	  "R5: stable_upto is what was acknowledged when the SYNC is answered, not when it was sent")                  \
	X(flush_of_one_copy, "P1: a FLUSH completes when the first replica has answered it")                           \
	X(flush_error_ignored, "P1: a FLUSH completes though a replica failed it")                                     \
	X(power_loss_keeps_acks,                                                                                       \
	  "acknowledgements of a machine that lost power since count for a write still under way")                     \
	X(acks_forgotten_late, "... or count until its new session is open (seed 18578)")                              \
	X(power_loss_forgiven, "R8: a replica that lost completed writes serves on")                                   \
	X(serve_without_all, "P2: requests go on with the replicas that are left")                                     \
	X(second_reply_ignored, "P9: a reply that answers nothing outstanding is taken for one")                       \
	X(epoch_taken_twice, "R1: an attach takes the highest epoch, not one above")                                   \
	X(promise_goes_back, "R1: a promise of a lower or equal epoch is given")                                       \
	X(promise_before_drain, "P3: a promise is answered while requests of older epochs run")                        \
	X(promise_not_durable, "R1: a promise is answered before it is durable")                                       \
	X(accept_not_durable, "R3.5: a config is accepted before it is durable")                                       \
	X(session_not_drained, "R2: a new session opens while the requests of the older one run")                      \
	X(flush_before_writes, "R5: a FLUSH is answered before the writes received before it")                         \
	X(fua_ignored, "P1: FUA is answered from the page cache")                                                      \
	X(fsync_error_ignored, "P1: a FLUSH is answered well though the fsync failed")                                 \
	X(store_error_ignored, "a write is acknowledged though the store failed")                                      \
	X(half_write_applied, "R4: a write whose payload was cut off is applied")                                      \
	X(flush_joins_running_sync, "R5: a FLUSH is answered by an fsync that was started before it came")             \
	X(bulk_out_of_order, "replies of the bulk lane come in any order")                                             \
	X(no_session_fence, "P3: connections of older sessions stay, and their frames are served")                     \
	X(failed_replica_serves, "P1: a replica whose disk failed goes on serving")                                    \
	X(list_has_gaps, "R1: the list of unstable extents misses some")                                               \
	X(list_overflow_unnoticed, "R1: a list that overflowed is not 'everything'")                                   \
	X(one_superblock_slot, "the superblock is overwritten in place")

enum mutant {
	MUTANT_none,
#define MUTANT_ENUM(name, text) MUTANT_##name,
	/* clang-format off */
	MUTANT_LIST(MUTANT_ENUM)
#undef MUTANT_ENUM
	MUTANT_COUNT
	/* clang-format on */
};

extern const char *const mutant_names[MUTANT_COUNT];

#ifdef MUTANTS
extern enum mutant mutant_active;
#define MUTANT(name) __builtin_expect(mutant_active == MUTANT_##name, 0)
#define MUTANT_FLAVOR "mutants"
#else
#define MUTANT(name) ((void)MUTANT_##name, false)
#define MUTANT_FLAVOR "release"
#endif

/* False: unknown, or not a build with mutants. */
bool mutant_set(const char *name);
/* Empty: none. */
const char *mutant_name(void);

#endif
