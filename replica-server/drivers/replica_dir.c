/* Opens a replica's directory for serving. Must not know connections. Never on a request's path: start and CREATE. */
#include "replica-server/drivers/replica_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "replica-server/drivers/dir_lock.h"

void replica_dir_name(const char *volume_name, uint32_t set_index, const struct uuid *replica_uuid,
		      char out[REPLICA_DIR_NAME_MAX + 1])
{
	const uint8_t *b = replica_uuid->bytes;

	(void)snprintf(out, REPLICA_DIR_NAME_MAX + 1, "%s.%u.%02x%02x%02x%02x", volume_name, set_index, b[0], b[1],
		       b[2], b[3]);
}

bool replica_dir_name_parse(const char *name, struct replica_info *ret)
{
	const char *id = strrchr(name, '.'), *set;
	char again[REPLICA_DIR_NAME_MAX + 1];
	unsigned set_index, b[4];
	char tail;

	*ret = (struct replica_info){0};
	if (!id || id == name || strlen(name) > REPLICA_DIR_NAME_MAX)
		return false;
	set = memrchr(name, '.', (size_t)(id - name));
	if (!set || set == name || (size_t)(set - name) > VOLUME_NAME_MAX)
		return false;
	if (sscanf(set, ".%3u.%2x%2x%2x%2x%c", &set_index, &b[0], &b[1], &b[2], &b[3], &tail) != 5)
		return false;
	memcpy(ret->volume_name, name, (size_t)(set - name));
	ret->set_index = set_index;
	for (unsigned i = 0; i < 4; i++)
		ret->replica_uuid.bytes[i] = (uint8_t)b[i];
	replica_dir_name(ret->volume_name, ret->set_index, &ret->replica_uuid, again);
	return !strcmp(name, again);
}

void replica_dir_closed(struct replica_dir *ret)
{
	*ret = (struct replica_dir){.fd = -1, .superblock_fd = -1, .stamps_fd = -1, .data_fd = -1};
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd); /* everything that matters was synced before */
	*fd = -1;
}

void replica_dir_close(struct replica_dir *dir)
{
	close_fd(&dir->data_fd);
	close_fd(&dir->stamps_fd);
	close_fd(&dir->superblock_fd);
	close_fd(&dir->fd);
}

/* What a kernel could not write it keeps as if it were on the disk, until it needs the memory. A server that did not
 * stop in order, as none does whose sync failed, may have left such pages; those that are still to be written stay. */
static void forget_cached(const struct replica_dir *dir, int fd)
{
	if (!dir->sb.clean)
		(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED); /* nothing is cached where it is not known */
}

static int open_file(const struct replica_dir *dir, const char *file, int *ret_fd, struct err *err)
{
	*ret_fd = openat(dir->fd, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd >= 0) {
		forget_cached(dir, *ret_fd);
		return 0;
	}
	if (errno == ENOENT)
		return err_set(err, -EINVAL,
			       "the file '%s' is missing; not a replica, or damaged: restore it from its mirrors",
			       file);
	return err_set(err, -errno, "the file '%s' cannot be opened for writing: %s; correct its permissions", file,
		       strerror(errno));
}

/* Reads up to `len` bytes; returns how many there were, or -errno. */
static ssize_t read_at(int fd, uint8_t *out, size_t len, uint64_t offset)
{
	size_t have = 0;

	while (have < len) {
		ssize_t got = pread(fd, out + have, len - have, (off_t)(offset + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

static int explain_superblock(int error, const struct superblock_slots *slots, struct err *err)
{
	if (error == -EPROTONOSUPPORT)
		return err_set(
			err, error,
			"superblock: made by a newer version of this program (slot 0 %s, slot 1 %s); use that version",
			slots->reason[0], slots->reason[1]);
	return err_set(err, -EBADMSG, "superblock: slot 0 %s, slot 1 %s; restore the replica from its mirrors",
		       slots->reason[0], slots->reason[1]);
}

static int read_superblock(struct replica_dir *dir, struct err *err)
{
	uint8_t *image = calloc(1, SUPERBLOCK_FILE_BYTES);
	struct superblock_slots slots;
	ssize_t got;
	int error;

	if (!image)
		return err_set(err, -ENOMEM, "superblock: no memory");
	/* A file that is too short reads as zeros at its end: slots that were never written. */
	got = read_at(dir->superblock_fd, image, SUPERBLOCK_FILE_BYTES, 0);
	if (got < 0) {
		error = err_set(err, (int)got, "superblock: cannot be read: %s", strerror((int)-got));
	} else {
		error = superblock_choose(image, &dir->sb, &slots);
		error = error ? explain_superblock(error, &slots, err) : 0;
	}
	free(image);
	return error;
}

/* From now on until an orderly stop a crash would find the replica in use. */
static int take_clean_flag(struct replica_dir *dir, const struct uuid *kernel, uint64_t now_s, struct err *err)
{
	uint8_t *slot = aligned_alloc(4096, SUPERBLOCK_SLOT_BYTES);
	ssize_t put;
	int error;

	if (!slot)
		return err_set(err, -ENOMEM, "superblock: no memory");
	superblock_start(&dir->sb, kernel);
	dir->sb.sequence++;
	dir->sb.updated_s = now_s;
	error = superblock_encode(&dir->sb, slot);
	if (!error) {
		put = pwrite(dir->superblock_fd, slot, SUPERBLOCK_SLOT_BYTES,
			     (off_t)superblock_slot_offset(dir->sb.sequence));
		error = put < 0 ? -errno : put < (ssize_t)SUPERBLOCK_SLOT_BYTES ? -EIO : 0;
	}
	if (!error && fdatasync(dir->superblock_fd))
		error = -errno;
	free(slot);
	if (error)
		return err_set(err, error, "superblock: cannot be written: %s; correct the disk or its permissions",
			       strerror(-error));
	return 0;
}

static int check_name(const struct replica_dir *dir, const char *name, struct err *err)
{
	char wanted[REPLICA_DIR_NAME_MAX + 1];

	replica_dir_name(dir->sb.volume_name, dir->sb.config.set_index, &dir->sb.replica_uuid, wanted);
	if (!strcmp(wanted, name))
		return 0;
	return err_set(err, -EINVAL, "the superblock is of replica '%s'; directories were mixed up, rename it back",
		       wanted);
}

static int check_size(int fd, const char *file, uint64_t wanted, struct err *err)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_set(err, -errno, "%s: %s", file, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(err, -EINVAL, "%s: not a regular file; not a replica", file);
	if ((uint64_t)st.st_size < wanted)
		return err_set(err, -EINVAL,
			       "%s: %llu bytes, should be %llu; it was truncated, restore it from its mirrors", file,
			       (unsigned long long)st.st_size, (unsigned long long)wanted);
	return 0;
}

static int check_stamps(const struct replica_dir *dir, struct err *err)
{
	uint8_t block[STAMPS_BLOCK_BYTES];
	struct stamps_header header;
	const char *reason = "shorter than its header";
	int error = -EBADMSG;

	if (read_at(dir->stamps_fd, block, sizeof(block), 0) == (ssize_t)sizeof(block))
		error = stamps_header_decode(block, &header, &reason);
	if (error)
		return err_set(err, error, "stamps: %s; restore the replica from its mirrors", reason);
	if (!uuid_equal(&header.replica_uuid, &dir->sb.replica_uuid) ||
	    !uuid_equal(&header.set_uuid, &dir->sb.config.set_uuid) ||
	    header.region_count != stamps_region_count(dir->sb.config.set_bytes))
		return err_set(err, -EINVAL,
			       "stamps: of another replica; directories were mixed up, put the file back");
	/* What is not there must not be taken for what never changed. */
	return check_size(dir->stamps_fd, "stamps", stamps_file_bytes(header.region_count), err);
}

/* Does a direct read of the volume's block size work? Asked by doing, of bytes that were written, the end of the header
 * of the stamps: in a hole, as all of a new data file is, no device looks at the alignment. */
static bool can_direct(int dir_fd, uint32_t block_bytes)
{
	int fd = openat(dir_fd, "stamps", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_DIRECT);
	void *memory = aligned_alloc(4096, STAMPS_BLOCK_BYTES);
	ssize_t got = fd < 0 || !memory ? -1 : pread(fd, memory, block_bytes, STAMPS_BLOCK_BYTES - block_bytes);

	close_fd(&fd);
	free(memory);
	return got == (ssize_t)block_bytes;
}

static bool is_in_memory(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

/* Replaces data_fd by a direct one where that works. */
static int choose_direct(struct replica_dir *dir, enum direct_mode mode, struct err *err)
{
	uint32_t block_bytes = dir->sb.config.block_bytes;
	const char *why = "--io-direct off";
	int fd = -1;

	dir->is_memory = is_in_memory(dir->data_fd);
	if (dir->is_memory)
		why = "the file system is in memory";
	else if (mode != DIRECT_OFF) {
		fd = openat(dir->fd, "data", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_DIRECT);
		why = fd < 0 ? "the file system has no O_DIRECT"
			     : "O_DIRECT does not take the volume's block size here";
	}
	if (fd >= 0 && can_direct(dir->fd, block_bytes)) {
		close_fd(&dir->data_fd);
		dir->data_fd = fd;
		dir->direct_bytes = block_bytes;
		return 0;
	}
	close_fd(&fd);
	(void)snprintf(dir->io_reason, sizeof(dir->io_reason), "%s", why);
	if (mode == DIRECT_ON)
		return err_set(err, -EINVAL, "data: --io-direct on, but %s; use auto", why);
	return 0;
}

/* Data beside a witness's superblock are somebody else's: neither to be taken for a copy nor to be lost. */
static int check_empty(const struct replica_dir *dir, struct err *err)
{
	static const char *const files[] = {"data", "stamps"};

	for (unsigned i = 0; i < ARRAY_COUNT(files); i++)
		if (faccessat(dir->fd, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			return err_set(err, -EINVAL,
				       "a witness, but it holds the file '%s': directories were mixed up; put the file "
				       "back to its replica",
				       files[i]);
	return 0;
}

static int open_data(struct replica_dir *dir, enum direct_mode direct, struct err *err)
{
	int error = open_file(dir, "stamps", &dir->stamps_fd, err);

	if (!error)
		error = check_stamps(dir, err);
	if (!error)
		error = open_file(dir, "data", &dir->data_fd, err);
	if (!error)
		error = check_size(dir->data_fd, "data", dir->sb.config.set_bytes, err);
	if (!error)
		error = choose_direct(dir, direct, err);
	return error;
}

static int open_all(struct replica_dir *dir, const char *name, enum direct_mode direct, const struct uuid *kernel,
		    uint64_t now_s, struct err *err)
{
	int error = dir_lock(dir->fd, name, err);

	if (!error)
		error = open_file(dir, "superblock", &dir->superblock_fd, err);
	if (!error)
		error = read_superblock(dir, err);
	if (!error)
		error = check_name(dir, name, err);
	if (!error)
		error = superblock_is_witness(&dir->sb) ? check_empty(dir, err) : open_data(dir, direct, err);
	if (!error)
		error = take_clean_flag(dir, kernel, now_s, err);
	return error;
}

int replica_dir_open(int root_fd, const char *name, enum direct_mode direct, const struct uuid *kernel, uint64_t now_s,
		     struct replica_dir *ret, struct err *err)
{
	int error;

	replica_dir_closed(ret);
	ret->fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (ret->fd < 0)
		return err_set(err, -errno, "directory %s: %s", name, strerror(errno));
	error = open_all(ret, name, direct, kernel, now_s, err);
	if (error)
		replica_dir_close(ret);
	return error;
}

/* Holes are zeros, and zeros are what a fresh table holds: only written parts are read. */
int64_t replica_dir_load_stamps(const struct replica_dir *dir, struct stamps *stamps, struct err *err)
{
	uint8_t block[STAMPS_BLOCK_BYTES];
	int64_t damaged = 0;

	for (uint64_t idx = 0; idx < stamps->block_count; idx++) {
		off_t at = lseek(dir->stamps_fd, (off_t)((1 + idx) * STAMPS_BLOCK_BYTES), SEEK_DATA);
		ssize_t got;

		if (at < 0 && errno == ENXIO)
			break;
		if (at >= 0)
			idx = (uint64_t)at / STAMPS_BLOCK_BYTES - 1;
		if (idx >= stamps->block_count)
			break;
		memset(block, 0, sizeof(block));
		got = read_at(dir->stamps_fd, block, sizeof(block), (1 + idx) * STAMPS_BLOCK_BYTES);
		if (got < 0)
			return err_set(err, (int)got, "stamps: cannot be read: %s", strerror((int)-got));
		damaged += !stamps_load_block(stamps, idx, block);
	}
	return damaged;
}
