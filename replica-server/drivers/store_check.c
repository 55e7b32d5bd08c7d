/* The offline check: opens, reads, lets core/check.c judge. Must not lock or write. Called by the CLI. */
#include "replica-server/drivers/store_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replica-server/drivers/dir_lock.h"
#include "replica-server/drivers/replica_dir.h"

static int open_in(int dir_fd, const char *file, struct check_report *report)
{
	int fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		check_problem(report, "%s: %s; not a replica, or damaged: restore it from its mirrors", file,
			      strerror(errno));
	return fd;
}

static bool read_exactly(int fd, uint8_t *out, size_t len, uint64_t offset)
{
	size_t have = 0;

	while (have < len) {
		ssize_t got = pread(fd, out + have, len - have, (off_t)(offset + have));

		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

static void look_at_superblock(int dir_fd, struct check_report *report)
{
	uint8_t *image = calloc(1, SUPERBLOCK_FILE_BYTES);
	int fd = open_in(dir_fd, "superblock", report);

	if (image && fd >= 0) {
		if (!read_exactly(fd, image, SUPERBLOCK_FILE_BYTES, 0))
			check_problem(report,
				      "superblock: shorter than two slots; the missing part counts as never written");
		check_superblock(report, image);
		check_slots(report, image);
	}
	if (fd >= 0)
		(void)close(fd);
	free(image);
}

static void look_at_blocks(int fd, struct check_report *report)
{
	uint64_t count = stamps_block_count(stamps_region_count(report->superblock.config.set_bytes));
	uint8_t block[STAMPS_BLOCK_BYTES];

	for (uint64_t idx = 0; idx < count; idx++) {
		off_t at = lseek(fd, (off_t)((1 + idx) * STAMPS_BLOCK_BYTES), SEEK_DATA);

		if (at < 0) /* only holes from here on: never written */
			return;
		idx = (uint64_t)at / STAMPS_BLOCK_BYTES - 1;
		if (idx >= count)
			return;
		if (!read_exactly(fd, block, sizeof(block), (1 + idx) * STAMPS_BLOCK_BYTES)) {
			check_problem(report,
				      "stamps: the file is too short; its missing regions count as never written");
			return;
		}
		check_stamps_block(report, idx, block);
	}
}

static void look_at_stamps(int dir_fd, struct check_report *report)
{
	uint8_t header[STAMPS_BLOCK_BYTES];
	int fd = open_in(dir_fd, "stamps", report);

	if (fd < 0)
		return;
	if (!read_exactly(fd, header, sizeof(header), 0))
		check_problem(report, "stamps: shorter than its header; restore the replica from its mirrors");
	else
		check_stamps_header(report, header);
	if (report->stamps_valid && report->superblock_valid)
		look_at_blocks(fd, report);
	check_stamps_end(report);
	(void)close(fd);
}

static void look_at_data(int dir_fd, struct check_report *report)
{
	int fd = open_in(dir_fd, "data", report);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0) {
		report->data_bytes = (uint64_t)st.st_size;
		report->data_allocated_bytes = (uint64_t)st.st_blocks * 512;
		check_data(report);
	}
	(void)close(fd);
}

static void look_for_foreign(int dir_fd, struct check_report *report)
{
	static const char *const files[] = {"data", "stamps"};

	for (unsigned i = 0; i < ARRAY_COUNT(files); i++)
		if (faccessat(dir_fd, files[i], F_OK, AT_SYMLINK_NOFOLLOW) == 0)
			check_problem(report, "%s: a witness has no such file; put it back to its replica", files[i]);
}

/* A copy elsewhere may be looked at as well, so that is no damage. */
static void look_at_name(const char *dir, struct check_report *report)
{
	const struct superblock *sb = &report->superblock;
	char wanted[REPLICA_DIR_NAME_MAX + 1], *real = realpath(dir, NULL);
	const char *name = real ? strrchr(real, '/') : NULL;

	replica_dir_name(sb->volume_name, sb->config.set_index, &sb->replica_uuid, wanted);
	if (name && strcmp(name + 1, wanted) != 0)
		check_note(report,
			   "the directory is named '%.80s', its superblock is of '%s': a server refuses it under this "
			   "name",
			   name + 1, wanted);
	free(real);
}

static bool is_ours(const char *name)
{
	static const char *const names[] = {".", "..", "superblock", "stamps", "data"};

	for (unsigned i = 0; i < ARRAY_COUNT(names); i++) {
		if (!strcmp(name, names[i]))
			return true;
	}
	return false;
}

static void look_for_unknown(const char *dir, struct check_report *report)
{
	DIR *stream = opendir(dir);
	const struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		if (!is_ours(entry->d_name))
			check_note(report, "'%.80s' is none of a replica's files; nobody reads it", entry->d_name);
	}
	if (stream)
		closedir(stream);
}

int store_check(const char *dir, struct store_report *ret, struct err *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_set(err, -errno, "directory %s: %s; give the directory of one replica", dir,
			       strerror(errno));
	if (faccessat(fd, "superblock", F_OK, 0) && faccessat(fd, "data", F_OK, 0)) {
		(void)close(fd);
		return err_set(
			err, -EINVAL,
			"directory %s: holds neither 'superblock' nor 'data'; give the directory of one replica, "
			"DATA/<volume>.<set>.<id>",
			dir);
	}
	*ret = (struct store_report){0};
	check_init(&ret->check);
	ret->in_use_pid = dir_lock_holder(fd);
	ret->in_use = ret->in_use_pid != 0;
	look_at_superblock(fd, &ret->check);
	if (ret->check.superblock_valid)
		look_at_name(dir, &ret->check);
	look_for_unknown(dir, &ret->check);
	if (ret->check.is_witness) {
		look_for_foreign(fd, &ret->check);
	} else {
		look_at_stamps(fd, &ret->check);
		look_at_data(fd, &ret->check);
	}
	(void)close(fd);
	return 0;
}
