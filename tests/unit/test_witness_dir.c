/* A witness's directory: made, opened, checked, refused. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replica-server/drivers/replica_dir.h"
#include "replica-server/drivers/store_check.h"
#include "tests/unit/check.h"
#include "tests/unit/sample.h"

static char root[] = "/tmp/lockstep-witness-XXXXXX";
static char name[REPLICA_DIR_NAME_MAX + 1];
static char path[128];
static int root_fd;
static struct message_create create;
static struct replica_dir dir;
static struct err err;

static const struct voter *voter_of(enum voter_kind kind)
{
	for (unsigned i = 0; i < create.config.voter_count; i++)
		if (create.config.voters[i].kind == kind)
			return &create.config.voters[i];
	CHECK_FAIL("the sample config has no such voter");
}

static void begin(enum voter_kind kind)
{
	memcpy(root + sizeof(root) - 7, "XXXXXX", 7);
	CHECK_NOT_NULL(mkdtemp(root));
	root_fd = open(root, O_RDONLY | O_DIRECTORY);
	CHECK_TRUE(root_fd >= 0);
	create = (struct message_create){.volume_name = "vol", .config = sample_config()};
	create.replica_uuid = voter_of(kind)->uuid;
	err = (struct err){0};
	CHECK_OK(replica_dir_create(root_fd, &create, false, 100, &err));
	replica_dir_name("vol", create.config.set_index, &create.replica_uuid, name);
	snprintf(path, sizeof(path), "%s/%s", root, name);
}

static void end(void)
{
	CHECK_OK(replica_dir_remove(root_fd, name, &err));
	close(root_fd);
	CHECK_OK(rmdir(root));
}

static int reopen(void)
{
	const struct uuid kernel = sample_uuid(9);

	err = (struct err){0};
	return replica_dir_open(root_fd, name, DIRECT_AUTO, &kernel, 200, &dir, &err);
}

static bool has(const char *file)
{
	char at[160];

	snprintf(at, sizeof(at), "%s/%s", path, file);
	return access(at, F_OK) == 0;
}

static void put(const char *file)
{
	char at[160];
	int fd;

	snprintf(at, sizeof(at), "%s/%s", path, file);
	fd = open(at, O_CREAT | O_WRONLY, 0600);
	CHECK_TRUE(fd >= 0);
	close(fd);
}

static void a_witness_has_a_superblock_and_nothing_else(void)
{
	begin(VOTER_WITNESS);
	CHECK_TRUE(has("superblock"));
	CHECK_FALSE(has("data") || has("stamps"));
	CHECK_OK(reopen());
	CHECK_TRUE(superblock_is_witness(&dir.sb));
	CHECK_EQ_INT(-1, dir.data_fd);
	replica_dir_close(&dir);
	CHECK_OK(reopen()); /* what the first opening wrote back is a witness too */
	CHECK_TRUE(superblock_is_witness(&dir.sb));
	replica_dir_close(&dir);
	end();
}

static void a_replica_has_all_its_files(void)
{
	begin(VOTER_REPLICA);
	CHECK_TRUE(has("superblock") && has("data") && has("stamps"));
	CHECK_OK(reopen());
	CHECK_FALSE(superblock_is_witness(&dir.sb));
	replica_dir_close(&dir);
	end();
}

/* Neither a promise nor a stamp may fail because a write filled the disk before it. */
static void space_for_the_superblock_and_the_stamps_is_taken_when_a_replica_is_made(void)
{
	static const char *const files[] = {"superblock", "stamps", "data"};
	char at[160];
	struct stat st;

	begin(VOTER_REPLICA);
	for (unsigned i = 0; i < ARRAY_COUNT(files); i++) {
		snprintf(at, sizeof(at), "%s/%s", path, files[i]);
		CHECK_OK(stat(at, &st));
		CHECK_EQ_INT(i < 2, st.st_blocks * 512 >= st.st_size);
	}
	end();
}

static void a_witness_that_holds_data_is_refused_by_name(void)
{
	static const char *const files[] = {"data", "stamps"};

	for (unsigned i = 0; i < ARRAY_COUNT(files); i++) {
		begin(VOTER_WITNESS);
		put(files[i]);
		CHECK_ERRNO(-EINVAL, reopen());
		CHECK_STR_HAS(files[i], err.text);
		CHECK_STR_HAS("witness", err.text);
		CHECK_TRUE(has(files[i])); /* never removed by itself */
		end();
	}
}

static void a_replica_without_its_data_is_no_witness(void)
{
	char at[160];

	begin(VOTER_REPLICA);
	snprintf(at, sizeof(at), "%s/stamps", path);
	CHECK_OK(unlink(at));
	snprintf(at, sizeof(at), "%s/data", path);
	CHECK_OK(unlink(at));
	CHECK_ERRNO(-EINVAL, reopen());
	CHECK_STR_HAS("missing", err.text);
	end();
}

/* Damage costs copying and never data: what is cut off must not read as "never changed". */
static void a_stamp_table_that_was_cut_off_is_refused_by_name(void)
{
	char at[160];
	struct stat st;

	begin(VOTER_REPLICA);
	snprintf(at, sizeof(at), "%s/stamps", path);
	CHECK_OK(stat(at, &st));
	CHECK_OK(truncate(at, st.st_size - 1));
	CHECK_ERRNO(-EINVAL, reopen());
	CHECK_STR_HAS("stamps: ", err.text);
	CHECK_STR_HAS("truncated", err.text);
	end();
}

static void the_offline_check_knows_a_witness(void)
{
	struct store_report report;

	begin(VOTER_WITNESS);
	CHECK_OK(store_check(path, &report, &err));
	CHECK_TRUE(report.check.is_witness);
	CHECK_EQ_U64(0, report.check.problem_count);
	put("data");
	CHECK_OK(store_check(path, &report, &err));
	CHECK_EQ_U64(1, report.check.problem_count);
	CHECK_STR_HAS("witness", report.check.problems[0]);
	end();
}

static void the_offline_check_notes_what_does_not_belong_and_another_name(void)
{
	struct store_report report;
	char other[160];

	begin(VOTER_REPLICA);
	snprintf(other, sizeof(other), "%s/backup", root);
	CHECK_OK(rename(path, other) ? -errno : 0);
	CHECK_OK(store_check(other, &report, &err));
	CHECK_EQ_U64(0, report.check.problem_count);
	CHECK_EQ_U64(2, report.check.note_count);
	/* The sample's losses are the first. */
	CHECK_STR_HAS("'backup'", report.check.notes[1]);
	CHECK_STR_HAS(name, report.check.notes[1]);
	CHECK_OK(rename(other, path) ? -errno : 0);
	put("data.orig");
	CHECK_OK(store_check(path, &report, &err));
	CHECK_EQ_U64(0, report.check.problem_count);
	CHECK_EQ_U64(2, report.check.note_count);
	CHECK_STR_HAS("'data.orig' is none", report.check.notes[1]);
	snprintf(other, sizeof(other), "%s/data.orig", path);
	CHECK_OK(unlink(other) ? -errno : 0);
	end();
}

static const struct check_test tests[] = {
	CHECK_TEST(a_witness_has_a_superblock_and_nothing_else),
	CHECK_TEST(a_replica_has_all_its_files),
	CHECK_TEST(space_for_the_superblock_and_the_stamps_is_taken_when_a_replica_is_made),
	CHECK_TEST(a_witness_that_holds_data_is_refused_by_name),
	CHECK_TEST(a_replica_without_its_data_is_no_witness),
	CHECK_TEST(a_stamp_table_that_was_cut_off_is_refused_by_name),
	CHECK_TEST(the_offline_check_knows_a_witness),
	CHECK_TEST(the_offline_check_notes_what_does_not_belong_and_another_name),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("witness_dir", tests, argc, argv);
}
