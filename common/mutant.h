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
	/* P4, H15: what may overlap */                                                                                \
	X(no_range_lock, "P4: overlapping requests run at the same time")                                              \
	X(reads_pass_writes, "P4: a read does not wait for writes of its range, nor a write for reads")                \
	X(range_released_early, "R11: a range is given up with its part, before the request completes")                \
	X(range_released_before_the_last,                                                                              \
	  "R4: a range is given up when the required legs have answered, a syncing one has not")                       \
	X(copy_undoes_a_write, "R7: a copy passes a write that its source has not, and takes it from its target")      \
	X(copy_without_lock, "R7: a resync copies without the range's lock")                                           \
	/* P1, P6, P7, P9, R12, R13: requests */                                                                       \
	X(ack_after_one_copy, "P1: a write completes when the first replica has acknowledged it")                      \
	X(write_error_ignored, "P1: a write completes though a replica could not write it")                            \
	X(no_resend, "a replica that comes back does not get what it has not acknowledged")                            \
	X(checksum_mismatch_ignored, "R13: replicas that stored different bytes are not made equal")                   \
	X(repeat_without_copy, "R13: a write is repeated from the changing buffer, not from a private copy")           \
	X(completion_before_release, "P6: a write completes while a send may still read its memory")                   \
	X(one_part_is_enough, "a request completes with its first part")                                               \
	X(short_read_not_zeroed, "P7: the tail of a short read is what was in the memory before")                      \
	X(read_error_is_success, "P7: a read that the replica failed completes as if it had bytes")                    \
	X(second_reply_ignored, "P9: a reply that answers nothing outstanding is taken for one")                       \
	X(failed_write_not_counted, "R8: a write that failed, and was read, may be lost without a word")               \
	X(failed_write_is_read, "R12: a write that failed by policy is read before its replicas are equal")            \
	X(failed_write_is_stable, "R12: stable_upto passes a write that failed")                                       \
	X(min_in_sync_ignored, "a write completes with fewer replicas in sync than min-in-sync")                       \
	/* R5: stable */                                                                                               \
	X(stable_too_high, "R5: writes that were sent but not acknowledged count as stable")                           \
	X(stable_taken_late,                                                                                           \
	  "R5: stable_upto is what was acknowledged when the SYNC is answered, not when it was sent")                  \
	X(flush_of_one_copy, "P1: a FLUSH completes when the first replica has answered it")                           \
	X(flush_error_ignored, "P1: a FLUSH completes though a replica failed it")                                     \
	X(power_loss_keeps_acks,                                                                                       \
	  "R5: acknowledgements of a machine that lost power since count for a write still under way")                 \
	X(acks_forgotten_late, "... or count until its new session is open (seed 18578)")                              \
	/* R1, R2, R3: attach */                                                                                       \
	X(epoch_taken_twice, "R1: an attach takes the highest epoch, not one above")                                   \
	X(any_config_adopted, "R3.2: the config of the first voter that answers is adopted, not the highest")          \
	X(configs_ordered_by_gen, "configs are ordered by gen alone")                                                  \
	X(attach_keeps_gen, "an attach commits its config under the gen of the adopted one")                           \
	X(half_is_a_majority, "two of four voters, or one of two, are a majority")                                     \
	X(commit_without_majority, "R3.5, R6: a config counts as chosen when the first voter has stored it")           \
	X(commit_without_the_counted, "R3.5: ... when a majority has, though a counted member has not")                \
	X(attach_counts_the_forgetful, "R3.3: a member that restarted is counted in sync beside others")               \
	X(out_replica_counted, "R3.3: a replica that the adopted config has out is counted in sync")                   \
	X(rolled_back_is_counted,                                                                                      \
	  "R3.3: a member whose disk was set back to before the adopted config is counted in sync")                    \
	X(rolled_back_by_stamps, "R7: a replica whose disk was set back while it was out is compared by stamps")       \
	X(rolled_back_marked_late, "R7: ... or is told of configs before one that has it compared in full")            \
	X(lost_lists_are_empty, "R3.3: when no member kept its list, nothing is uncertain")                            \
	X(set_back_is_complete, "R3.3: ... one that never stored the adopted config is taken to have everything")      \
	X(absent_by_lost_lists, "R3.3: ... and who is absent is compared by his own list")                             \
	X(doubt_not_passed_on, "R3.3: a successor is not told that nobody's list tells what is uncertain")             \
	X(long_out_not_compared,                                                                                       \
	  "R3.3: the adopted config's data lost power, and a replica long out is not compared in full")                \
	X(absent_not_compared, "R3.3: a member that did not answer goes out without its list to be compared")          \
	X(restart_in_attach_ignored, "R2: a counted member that restarts during the attach stays counted")             \
	X(everything_is_nothing, "R3.4: a list that overflowed is taken for an empty one")                             \
	X(attach_stamps_nothing, "R3.4: what is unstable at an attach is not stamped")                                 \
	X(attach_does_not_sync, "R3.4: the counted members' data are not made durable before the commit")              \
	X(lease_not_waited_out, "R3.6: writes are acknowledged before the longest lease reported is over")             \
	X(nothing_is_reconciled, "R3.7: what may differ after a gateway was lost is not made equal")                   \
	X(uncertain_is_read, "R3.7: ... or is read before it was")                                                     \
	X(reconciled_within_a_lease, "R3.7: ... or while an older gateway may still read what was there before")       \
	X(foreign_config_taken, "R10: an attachment goes on over a config that somebody else committed")               \
	X(recovery_over_another, "R11: requests are driven again though another attachment came between")              \
	X(recovery_reads_at_once, "R11: reads do not wait for the writes that are still to be issued again")           \
	/* R4, R6, R8: stamps, eviction */                                                                             \
	X(serve_without_all, "P2: requests go on with the replicas that are left, before a config says so")            \
	X(discards_not_stamped, "R4: a discard leaves no stamp while a replica is out")                                \
	X(unstamped_until_chosen, "R4: writes stamp only once the config without the replica is chosen")               \
	X(writes_keep_gen_in_evict, "R6: writes between U and the commit carry the gen before")                        \
	X(evict_stamps_nothing, "R6: what the leaving replica may lack is not stamped")                                \
	X(evict_trusts_a_running_flush, "R6: ... nor what a FLUSH that it has not answered covers")                    \
	X(flush_covers_what_is_under_way, "R6: ... nor writes that were under way when a FLUSH was sent")              \
	X(evict_forgets_the_uncertain, "R6: ... nor what is still to be made equal")                                   \
	X(evict_before_stamps, "R6: the config is proposed before the stamps are durable")                             \
	X(evict_leaves_out_the_syncing, "R6: replicas being taken back are not stamped")                               \
	X(proposal_not_required,                                                                                       \
	  "R6: until a proposal is known chosen, only the last chosen config's replicas are required")                 \
	X(leaving_may_not_vote, "R6: a replica on its way out has no vote")                                            \
	X(no_turning_round, "R6: a member that comes back while its eviction is stuck is not let in again")            \
	X(forgetful_returns_beside_others, "R6: a member that lost its list is let in again, not alone")               \
	X(forgetful_is_named,                                                                                          \
	  "R6: a member that lost its list, let in again before another, is named as one that has it")                 \
	X(restart_not_noticed, "R2: a replica that comes back as another process is taken for the same")               \
	X(power_loss_forgiven, "R8: a last replica that lost completed writes serves on")                              \
	/* R7: rejoin */                                                                                               \
	X(replica_says_what_it_lacks, "R7: what to copy is taken from the replica's own record, not from the config")  \
	X(list_of_another_start, "R7: the list of another start of the server is believed")                            \
	X(everything_not_compared, "R7: 'everything' is not compared")                                                 \
	X(its_list_ignored, "R7: what its own list has is not compared")                                               \
	X(own_stamps_ignored, "R7: what is stamped on the replica itself is not compared")                             \
	X(source_stamps_ignored, "R7: what is stamped on the source is not compared")                                  \
	X(unseen_not_copied, "R7: what is not compared is not copied either")                                          \
	X(joiner_gets_no_stamps, "R7: the source's stamps are not raised on the replica that comes back")              \
	X(joiner_misses_what_is_under_way, "R7: ... nor is it sent the writes under way")                              \
	X(joiner_misses_new_writes, "R7: ... nor the new ones")                                                        \
	/* Waits and pauses */                                                                                         \
	X(unreadable_is_asked_again, "a replica that cannot be read for a comparison is asked again at once")          \
	X(held_for_ever, "R12: by policy no request waits too long, but for reads of what cannot be made equal")       \
	X(reattached_for_ever, "R12: ... but for those of a volume that is attached again in place")                   \
	/* P10: verify */                                                                                              \
	X(verify_of_the_uncertain, "R12: what a failed write left may be called a difference of replicas in sync")     \
	X(verify_believes_the_first, "P10: what differs from the first replica is wrong, whoever has the majority")    \
	X(verify_half_is_right, "P10: half of the replicas are a majority: of two the first is right")                 \
	X(verify_believes_the_named, "P10: the replica that people named is right, against a majority")                \
	X(verify_repairs_unasked, "P10: a verify repairs though nobody asked for it")                                  \
	X(verify_forgets_the_stopped, "P10: a region whose comparison was stopped counts as compared")                 \
	X(verify_ends_early, "P10: the last region is not compared")                                                   \
	X(verify_beside_a_rejoin, "P10: a verify does not wait until a replica was taken back")                        \
	X(verify_without_patience, "P8: a verify waits for ever for what may never come")                              \
	X(rejoin_of_the_uncertain, "R7: it is made equal to a source that is not yet equal to the other ones")         \
	X(rejoin_without_flush, "R7: it is proposed before its FLUSH is answered")                                     \
	X(joiner_not_required, "R7: its acknowledgements are not required from the sending of that FLUSH on")          \
	X(flush_without_the_joiner, "R7: ... not those of FLUSHes")                                                    \
	X(syncing_is_read, "P4: a replica that is not in sync answers reads")                                          \
	X(last_piece_not_copied, "R7: the last piece of a region is never copied")                                     \
	X(copy_read_error_ignored, "a resync copies what it could not read")                                           \
	X(copy_write_error_ignored, "a resync takes what could not be written for written")                            \
	X(last_writes_stay_listed, "R5: nobody is told what the last SYNC made durable; the next attach compares it")  \
	X(lists_forgotten_early, "R5: older lists are forgotten before what they have was made equal")                 \
	/* P5, R9: lease */                                                                                            \
	X(reads_without_lease, "P5: reads start without a lease")                                                      \
	X(lease_of_one_voter, "R9: one voter's answer is a lease")                                                     \
	X(lease_of_chosen_members, "R9: the members of the chosen config are enough, not those of the union")          \
	X(lease_of_majority_only, "R9: every member's answer is no lease: a last one stops serving")                   \
	X(lease_from_the_answer, "R9: the lease runs from the answer to the heartbeat")                                \
	X(restarted_voter_knows_no_lease, "R9: a voter that has just started reports no lease")                        \
	X(promise_clears_lease, "R9: a promise clears the record of a lease")                                          \
	X(fenced_gateway_keeps_lease, "P5: a voter goes on granting a lease to the gateway that was fenced")           \
	/* Replica: promise, session, data */                                                                          \
	X(promise_goes_back, "R1: a promise of a lower or equal epoch is given")                                       \
	X(nonce_ignored, "R1: a promise does not bind the nonce")                                                      \
	X(promise_before_drain, "P3: a promise is answered while requests of older epochs run")                        \
	X(promise_not_durable, "R1: a promise is answered before it is durable")                                       \
	X(accept_without_promise, "R1: a config is accepted from whoever asks")                                        \
	X(blank_votes, "a directory that was made to replace a lost one votes as if it had never promised anything")   \
	X(seeded_knows_no_lease, "R9: ... and knows of no lease when it has its vote again")                           \
	X(seeded_before_chosen, "... or is given its vote before a majority without it knows of it")                   \
	X(old_directory_votes, "... or the directory that was replaced votes when it comes back")                      \
	X(late_seed_taken, "... or a seed of a connection that was lost gives a blank one its vote")                   \
	X(accept_not_durable, "R3.5: a config is accepted before it is durable")                                       \
	X(session_not_drained, "R2: a new session opens while the requests of the older one run")                      \
	X(no_session_fence, "P3: connections of older sessions stay, and their frames are served")                     \
	X(flush_before_writes, "R5: a FLUSH is answered before the writes received before it")                         \
	X(flush_joins_running_sync, "R5: a FLUSH is answered by an fsync that was started before it came")             \
	X(fua_ignored, "P1: FUA is answered from the page cache")                                                      \
	X(fsync_error_ignored, "P1: a FLUSH is answered well though the fsync failed")                                 \
	X(store_error_ignored, "a write is acknowledged though the store failed")                                      \
	X(half_write_applied, "R4: a write whose payload was cut off is applied")                                      \
	X(bulk_out_of_order, "replies of the bulk lane come in any order")                                             \
	X(failed_sync_forgotten, "R8: that data could not be made durable is forgotten when the server is restarted")  \
	X(power_loss_forgotten, "R8: a server that was not stopped in order reports the boot before a power loss")     \
	X(failed_replica_serves, "P1: a replica whose disk failed goes on serving")                                    \
	X(list_has_gaps, "R1: the list of unstable extents misses some")                                               \
	X(list_overflow_unnoticed, "R1: a list that overflowed is not 'everything'")                                   \
	X(older_lists_dropped, "R1: the list of an older epoch ends with the next session")                            \
	/* Replica: stamps, superblock */                                                                              \
	X(data_before_stamp, "R4: data are written before their stamp is durable")                                     \
	X(stamped_before_durable, "R6: STAMP is answered before the stamps are durable")                               \
	X(stamps_join_a_running_write, "R4: stamps raised while the table is written count as written with it")        \
	X(damaged_stamps_say_nothing, "a damaged block of the stamp table says that nothing changed")                  \
	X(stamp_does_not_sync, "R3.4: STAMP does not make the data durable")                                           \
	X(stamp_syncs_before_writes, "R3.4: ... or does so before the writes received before it")                      \
	X(one_superblock_slot, "the superblock is overwritten in place")                                               \
	X(older_slot_counts, "of two sound superblock slots the older one counts")                                     \
	X(torn_superblock_taken, "a superblock slot with a wrong checksum is believed")                                \
	X(slot_of_two_writes_taken,                                                                                    \
	  "a superblock slot with the header of one write and the config of another is believed")

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
