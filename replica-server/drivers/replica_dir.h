/* One replica's directory DIR/<volume>.<set>.<uuid8>/ with the files superblock, stamps and data: made, opened,
 * removed. Blocking calls: control thread or start only. */
#ifndef REPLICA_SERVER_DRIVERS_REPLICA_DIR_H
#define REPLICA_SERVER_DRIVERS_REPLICA_DIR_H

#include <stdbool.h>
#include <stdint.h>

#include "common/compiler.h"
#include "common/err.h"
#include "proto/config.h"
#include "proto/message.h"
#include "replica-server/core/stamps.h"
#include "replica-server/core/superblock.h"

#define REPLICA_DIR_NAME_MAX (VOLUME_NAME_MAX + 1 + 3 + 1 + 8)
/* Directories that are being made or removed; a start removes what a crash left. */
#define REPLICA_DIR_NEW_PREFIX ".new."
#define REPLICA_DIR_OLD_PREFIX ".old."

enum direct_mode { DIRECT_AUTO, DIRECT_ON, DIRECT_OFF };

struct replica_dir {
	int fd; /* of the directory; holds the lock */
	int superblock_fd, stamps_fd, data_fd;
	uint32_t direct_bytes; /* alignment of O_DIRECT on data_fd; 0: buffered */
	bool is_memory;	       /* tmpfs: calls do not wait for a device */
	char io_reason[128];   /* why buffered, for the log */
	struct superblock sb;  /* as found; already written back without the clean flag */
};

/* "<volume>.<set>.<uuid8>" into `out`. */
void replica_dir_name(const char *volume_name, uint32_t set_index, const struct uuid *replica_uuid,
		      char out[REPLICA_DIR_NAME_MAX + 1]);
/* Is this a name that replica_dir_name() makes? Its parts into `ret` as far as the name tells them (uuid: first four
 * bytes, the rest zeros). */
bool replica_dir_name_parse(const char *name, struct replica_info *ret);

/* Locks, reads and checks everything, takes the clean flag back. `root_fd`/`name`: the directory; `kernel`: its boot
 * id. Stays open until replica_dir_close(). 0, or -errno and a sentence: -EBUSY another server has it, -EBADMSG
 * damaged, -EPROTONOSUPPORT newer, -EINVAL foreign or truncated. */
int replica_dir_open(int root_fd, const char *name, enum direct_mode direct, const struct uuid *kernel, uint64_t now_s,
		     struct replica_dir *ret, struct err *err) must_check;
/* Accepts one that never opened ({ .fd = -1 } and so on, as replica_dir_closed() makes it). */
void replica_dir_close(struct replica_dir *dir);
void replica_dir_closed(struct replica_dir *ret);
/* Reads the stamp table into `stamps`; returns how many blocks were damaged, or -errno. */
int64_t replica_dir_load_stamps(const struct replica_dir *dir, struct stamps *stamps, struct err *err) must_check;

/* Makes the directory, all or nothing, durably. `is_blank`: in place of one that was lost. -EEXIST, -ENOSPC, ... */
int replica_dir_create(int root_fd, const struct message_create *create, bool is_blank, uint64_t now_s, struct err *err)
	must_check;
/* Removes it: gone for every later start as soon as this has begun. */
int replica_dir_remove(int root_fd, const char *name, struct err *err) must_check;
/* Removes a half-made or half-removed directory. */
int replica_dir_sweep(int root_fd, const char *name, struct err *err) must_check;

#endif
