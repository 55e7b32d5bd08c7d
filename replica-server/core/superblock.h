/* The superblock of one replica: who it is, what it promised, which config it accepted.
 *
 * Two slots in one file, written in turn, each with its own CRC32C: a torn write costs at most the slot being written,
 * never the one before it. The newest valid slot counts. docs/on-disk.md has the byte table; magic, version, the size
 * of a slot and the place of its checksum stay where they are in every later version, so that a newer format is
 * recognised and refused instead of being taken for damage. Pure: bytes in, bytes out, any thread.
 */
#ifndef REPLICA_SERVER_CORE_SUPERBLOCK_H
#define REPLICA_SERVER_CORE_SUPERBLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/limits.h"
#include "common/mutant.h"
#include "common/uuid.h"
#include "proto/config.h"

#define SUPERBLOCK_VERSION 1u
#define SUPERBLOCK_SLOT_COUNT 2u
#define SUPERBLOCK_SLOT_BYTES 8192u    /* header 4096, then the encoded config, zero-padded */
#define SUPERBLOCK_SLOT_SPACING 65536u /* far enough apart that no sector or page holds parts of both */
#define SUPERBLOCK_FILE_BYTES (SUPERBLOCK_SLOT_COUNT * SUPERBLOCK_SLOT_SPACING)
#define SUPERBLOCK_HEADER_BYTES 4096u
#define SUPERBLOCK_REASON_MAX 127u

/* Feature bits. `compat`: an older program may ignore them. `incompat`: it must not serve or write the replica. */
#define SUPERBLOCK_COMPAT_KNOWN 0ull
#define SUPERBLOCK_INCOMPAT_WITNESS (1ull << 0) /* the directory holds this file and nothing else */
/* Made in place of a directory that was lost, and not seeded yet: it must not vote as if it had never promised anything
 * (control.c). Its config says how the set was created and nothing else. */
#define SUPERBLOCK_INCOMPAT_BLANK (1ull << 1)
#define SUPERBLOCK_INCOMPAT_KNOWN (SUPERBLOCK_INCOMPAT_WITNESS | SUPERBLOCK_INCOMPAT_BLANK)

struct superblock {
	uint64_t compat, incompat;
	uint64_t sequence; /* grows by one with every write of a slot */
	struct uuid replica_uuid;
	char volume_name[VOLUME_NAME_MAX + 1];
	uint64_t life;		/* of this directory, as the config that it was seeded with says; 0: as created */
	struct ballot promised; /* highest promise; epoch 0: none yet */
	bool clean;		/* the server stopped in order, nothing unsynced was left */
	uint64_t created_s;	/* seconds since 1970 */
	uint64_t updated_s;
	uint32_t failed_syncs; /* how often data could not be made durable: each is as a power loss from the next start
				  on */
	/* Of kernels: under which nothing was lost since, and on which the last server started; nil: none yet. */
	struct uuid boot, kernel;
	struct config config; /* accepted; volume, set and geometry are also in the header and must agree */
};

/* A witness votes and holds no data. */
static inline bool superblock_is_witness(const struct superblock *sb)
{
	return sb->incompat & SUPERBLOCK_INCOMPAT_WITNESS;
}

static inline bool superblock_is_blank(const struct superblock *sb)
{
	return sb->incompat & SUPERBLOCK_INCOMPAT_BLANK && !MUTANT(blank_votes);
}

/* Writes one slot image. 0, or -EINVAL (the config does not encode into CONFIG_BYTES_MAX). */
int superblock_encode(const struct superblock *sb, uint8_t out[SUPERBLOCK_SLOT_BYTES]) must_check;

/* 0, or with `*ret_reason` (static text): -ENODATA never written, -EBADMSG damaged, -EPROTONOSUPPORT a newer format
 * or unknown incompat bits (must not be written), -EINVAL fields that contradict each other. `*ret` then untouched. */
int superblock_decode(const uint8_t in[SUPERBLOCK_SLOT_BYTES], struct superblock *ret, const char **ret_reason)
	must_check;

/* What became of each slot, for people. */
struct superblock_slots {
	int error[SUPERBLOCK_SLOT_COUNT];	   /* superblock_decode()'s */
	const char *reason[SUPERBLOCK_SLOT_COUNT]; /* static; "valid" when error is 0 */
	uint64_t sequence[SUPERBLOCK_SLOT_COUNT];
	unsigned newest; /* meaningful when the choice succeeded */
};

/* Picks the newest valid slot of the whole file's image (SUPERBLOCK_FILE_BYTES). 0, -EPROTONOSUPPORT when either slot
 * is of a newer format (then nothing may be written), -ENODATA when neither was ever written, else -EBADMSG. */
int superblock_choose(const uint8_t *image, struct superblock *ret, struct superblock_slots *ret_slots) must_check;

/* A server starts on `kernel`; the caller writes the superblock before it serves. The boot that is reported stays the
 * same for as long as nothing can have been lost: on the same kernel the page cache survived, and a server that stopped
 * in order left nothing in it. */
void superblock_start(struct superblock *sb, const struct uuid *kernel);

/* What stands for "nothing was lost" in the config register: the boot as superblock_start() has it, and another one for
 * each time that data could not be made durable, because from then on there may be clean pages that never reached the
 * disk. */
struct uuid superblock_boot_id(const struct superblock *sb, const struct uuid *kernel);

/* Byte offset in the file of the slot that the write with this sequence number goes to. */
uint64_t superblock_slot_offset(uint64_t sequence);

#endif
