/* The config record of one mirror set: who its voters are and which replicas are in sync.
 *
 * The same encoding stands on disk (superblock slot) and inside control messages, so that what a voter stored
 * and what it reports cannot differ. Little endian, version and feature bits first, CRC32C last; docs/on-disk.md
 * has the byte table. Configs are ordered by (epoch, gen); a gen never names two values.
 */
#ifndef PROTO_CONFIG_H
#define PROTO_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"
#include "common/uuid.h"

#define CONFIG_VERSION 1u

/* Ballot of the config register: a promise binds both; equal epochs with different nonces conflict. */
struct ballot {
	uint32_t epoch;
	uint64_t nonce;
};

enum voter_kind { VOTER_REPLICA = 1, VOTER_WITNESS = 2 };
enum voter_state { VOTER_IN = 1, VOTER_OUT = 2 };

/* What must be compared when an out replica returns, beyond regions stamped above its last in-sync gen. */
enum compare_rule { COMPARE_STAMPS = 1, COMPARE_ITS_LIST = 2, COMPARE_EVERYTHING = 3 };

struct voter {
	struct uuid uuid;
	enum voter_kind kind;
	char address[ADDRESS_CHARS_MAX + 1]; /* host:port, [v6]:port */
	/* Replicas only; a witness has VOTER_OUT, zeros. */
	enum voter_state state;
	enum compare_rule compare;
	uint32_t in_sync_gen; /* last gen in which it was in sync */
	uint64_t incarnation; /* of its server process when last in sync; 0: not known yet */
	struct uuid boot_id;  /* that it reported when last in sync */
	/* Of its directory. 0: as created. Else the one made to replace it, which has its vote by the config of this
	 * epoch and gen: epoch << 32 | gen. Only the directory that says the same is the voter. */
	uint64_t life;
};

struct config {
	struct uuid volume_uuid;
	struct uuid set_uuid;
	uint32_t set_index; /* 0-based place in the stripe */
	uint32_t set_count;
	uint32_t block_bytes;
	uint32_t chunk_bytes;
	uint64_t set_bytes; /* size of this set */
	uint64_t volume_bytes;
	struct ballot ballot; /* attachment that proposed it; epoch 0: as created */
	uint32_t gen;
	uint32_t loss_count; /* recorded losses of completed but unflushed writes */
	uint32_t voter_count;
	struct voter voters[SET_VOTERS_MAX];
};

/* Encodes into `out` of `cap` bytes. Returns bytes used, or -EMSGSIZE. Pure. */
int config_encode(const struct config *config, uint8_t *out, size_t cap) must_check;

/* Decodes and checks everything that can be checked without knowing the set: lengths, enums, geometry, duplicate
 * voters, at least one replica. 0, or -EBADMSG / -EPROTONOSUPPORT / -EINVAL with `*ret_reason` static text. */
int config_decode(const uint8_t *in, size_t len, struct config *ret, const char **ret_reason) must_check;

/* <0, 0, >0 by (epoch, gen). */
int config_compare(const struct config *a, const struct config *b);

/* The life that a voter begins by the config of this number. */
static inline uint64_t config_life(uint32_t epoch, uint32_t gen)
{
	return (uint64_t)epoch << 32 | gen;
}

/* "replica" or "witness". */
const char *voter_kind_name(enum voter_kind kind);

/* NULL if not a voter. Lends a pointer into `config`. */
const struct voter *config_voter(const struct config *config, const struct uuid *voter);

#endif
