/* Makes and removes replica directories so that a crash leaves a whole one or none. Control thread, CREATE and DELETE.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replica-server/drivers/replica_dir.h"

#define HIDDEN_NAME_MAX (REPLICA_DIR_NAME_MAX + sizeof(REPLICA_DIR_NEW_PREFIX))

static const char *const files[] = {"superblock", "stamps", "data"};

static int write_all(int fd, const uint8_t *bytes, size_t len, uint64_t offset)
{
	ssize_t put = pwrite(fd, bytes, len, (off_t)offset);

	if (put < 0)
		return -errno;
	return (size_t)put == len ? 0 : -ENOSPC;
}

static bool is_witness(const struct message_create *create)
{
	const struct voter *voter = config_voter(&create->config, &create->replica_uuid);

	return voter && voter->kind == VOTER_WITNESS;
}

static int fill_superblock(int fd, const struct message_create *create, bool is_blank, uint64_t now_s)
{
	struct superblock sb = {
		.sequence = 1,
		.replica_uuid = create->replica_uuid,
		.clean = true,
		.created_s = now_s,
		.updated_s = now_s,
		.config = create->config,
	};
	uint8_t slot[SUPERBLOCK_SLOT_BYTES];
	int error;

	sb.incompat =
		(is_witness(create) ? SUPERBLOCK_INCOMPAT_WITNESS : 0) | (is_blank ? SUPERBLOCK_INCOMPAT_BLANK : 0);
	memcpy(sb.volume_name, create->volume_name, sizeof(sb.volume_name));
	error = superblock_encode(&sb, slot);
	if (error)
		return error;
	/* Space for both slots is taken now: a promise must not fail for want of it later. */
	error = -posix_fallocate(fd, 0, SUPERBLOCK_FILE_BYTES);
	if (error)
		return error;
	return write_all(fd, slot, sizeof(slot), superblock_slot_offset(sb.sequence));
}

static int fill_stamps(int fd, const struct message_create *create)
{
	struct stamps_header header = {.set_uuid = create->config.set_uuid, .replica_uuid = create->replica_uuid};
	uint8_t block[STAMPS_BLOCK_BYTES];
	int error;

	header.region_count = stamps_region_count(create->config.set_bytes);
	stamps_header_encode(&header, block);
	/* As above: a full disk must not cost a replica more than the writes that found it full. */
	error = -posix_fallocate(fd, 0, (off_t)stamps_file_bytes(header.region_count));
	if (error)
		return error;
	return write_all(fd, block, sizeof(block), 0);
}

static int fill_file(int fd, unsigned which, const struct message_create *create, bool is_blank, uint64_t now_s)
{
	if (which == 0)
		return fill_superblock(fd, create, is_blank, now_s);
	if (which == 1)
		return fill_stamps(fd, create);
	return ftruncate(fd, (off_t)create->config.set_bytes) ? -errno : 0;
}

static int make_files(int dir_fd, const struct message_create *create, bool is_blank, uint64_t now_s)
{
	unsigned count = is_witness(create) ? 1 : ARRAY_COUNT(files); /* the superblock alone */

	for (unsigned i = 0; i < count; i++) {
		int fd = openat(dir_fd, files[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600), error;

		if (fd < 0)
			return -errno;
		error = fill_file(fd, i, create, is_blank, now_s);
		if (!error && fsync(fd))
			error = -errno;
		(void)close(fd); /* synced, or about to be removed */
		if (error)
			return error;
	}
	return fsync(dir_fd) ? -errno : 0;
}

static int explain_create(int error, const char *name, struct err *err)
{
	switch (error) {
	case -EEXIST:
	case -ENOTEMPTY:
		return err_set(err, -EEXIST,
			       "replica %s: exists already on this server; delete it first or choose another name",
			       name);
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return err_set(err, -ENOSPC, "replica %s: no space (%s); free some or use another server", name,
			       err_name(error));
	default:
		return err_set(err, error, "replica %s: cannot be made: %s; see the server's data directory", name,
			       strerror(-error));
	}
}

static int remove_files(int root_fd, const char *name)
{
	int dir_fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), error = 0;

	if (dir_fd < 0)
		return -errno;
	for (unsigned i = 0; i < ARRAY_COUNT(files); i++)
		if (unlinkat(dir_fd, files[i], 0) && errno != ENOENT)
			error = -errno;
	(void)close(dir_fd);
	if (!error && unlinkat(root_fd, name, AT_REMOVEDIR))
		error = -errno;
	return error;
}

int replica_dir_sweep(int root_fd, const char *name, struct err *err)
{
	int error = remove_files(root_fd, name);

	if (error)
		return err_set(err, error, "directory %s: left over and cannot be removed: %s; remove it by hand", name,
			       strerror(-error));
	return 0;
}

int replica_dir_create(int root_fd, const struct message_create *create, bool is_blank, uint64_t now_s, struct err *err)
{
	char name[REPLICA_DIR_NAME_MAX + 1], hidden[HIDDEN_NAME_MAX];
	int dir_fd, error;

	replica_dir_name(create->volume_name, create->config.set_index, &create->replica_uuid, name);
	(void)snprintf(hidden, sizeof(hidden), REPLICA_DIR_NEW_PREFIX "%s", name);
	if (faccessat(root_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
		return explain_create(-EEXIST, name, err);
	if (mkdirat(root_fd, hidden, 0700))
		return explain_create(-errno, name, err);
	dir_fd = openat(root_fd, hidden, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	error = dir_fd < 0 ? -errno : make_files(dir_fd, create, is_blank, now_s);
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (!error && renameat(root_fd, hidden, root_fd, name))
		error = -errno;
	if (!error && fsync(root_fd))
		error = -errno;
	if (!error)
		return 0;
	(void)remove_files(root_fd, hidden); /* best effort: a start sweeps what is left */
	return explain_create(error, name, err);
}

int replica_dir_remove(int root_fd, const char *name, struct err *err)
{
	char hidden[HIDDEN_NAME_MAX];
	int error = 0;

	(void)snprintf(hidden, sizeof(hidden), REPLICA_DIR_OLD_PREFIX "%s", name);
	if (renameat(root_fd, name, root_fd, hidden) || fsync(root_fd))
		error = -errno;
	if (!error)
		error = remove_files(root_fd, hidden);
	if (!error)
		return 0;
	return err_set(err, error, "replica %s: cannot be removed: %s; see the server's data directory", name,
		       strerror(-error));
}
