/* A valid control message of each kind, for tests to bend. */
#ifndef TESTS_UNIT_SAMPLE_MESSAGE_H
#define TESTS_UNIT_SAMPLE_MESSAGE_H

#include "proto/codec.h"

/* No field has its default where a default could hide that it was lost. */
struct message sample_message(enum message_kind kind);

struct replica_info sample_replica(uint8_t first);

/* codec_pack() with all the space there is. */
int sample_pack(const struct message *message, uint8_t out[MESSAGE_BYTES_MAX]);

/* Unpacks over a pattern, so that a field nobody wrote cannot pass for one that was 0; fails the test if refused. */
void check_unpacks(const uint8_t *bytes, int len, struct message *ret);

#endif
