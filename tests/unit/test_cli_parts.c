/* Small pure parts of the CLI: exit codes, mount points, text from peers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/cli/cli.h"
#include "gateway/cli/exit_codes.h"
#include "gateway/cli/mounts.h"
#include "tests/unit/check.h"

static void every_exit_code_has_a_name_of_its_own(void)
{
	for (int i = 0; i < EXIT_CODE_COUNT; i++) {
		CHECK_NOT_NULL(exit_code_name((enum exit_code)i));
		for (int j = 0; j < i; j++)
			CHECK_TRUE(strcmp(exit_code_name((enum exit_code)i), exit_code_name((enum exit_code)j)) != 0);
	}
}

static void exit_codes_keep_their_numbers(void)
{
	CHECK_EQ_INT(2, EXIT_USAGE);
	CHECK_EQ_INT(3, exit_code_from_errno(-ENOENT));
	CHECK_EQ_INT(4, exit_code_from_errno(-EEXIST));
	CHECK_EQ_INT(5, exit_code_from_errno(-EREMOTEIO));
	CHECK_EQ_INT(6, exit_code_from_errno(-ECONNREFUSED));
	CHECK_EQ_INT(7, exit_code_from_errno(-EBUSY));
	CHECK_EQ_INT(7, exit_code_from_errno(-EADDRINUSE));
	CHECK_EQ_INT(8, exit_code_from_errno(-ETIMEDOUT));
	CHECK_EQ_INT(9, exit_code_from_errno(-EPERM));
	CHECK_EQ_INT(10, exit_code_from_errno(-EINVAL));
	CHECK_EQ_INT(12, exit_code_from_errno(-EINTR));
	CHECK_EQ_INT(1, exit_code_from_errno(-EDOM));
}

static bool find_mount(const char *lines, const char *device, char point[64])
{
	FILE *stream = fmemopen((char *)lines, strlen(lines), "r"); /* only read */
	bool found;

	CHECK_NOT_NULL(stream);
	found = mounts_find(stream, device, point, 64);
	fclose(stream);
	return found;
}

static const char mountinfo[] =
	"22 28 0:20 / /proc rw,relatime shared:12 - proc proc rw\n"
	"90 28 259:0 / /mnt/ten rw,relatime shared:40 - ext4 /dev/ublkb10 rw\n"
	"91 28 259:1 / /mnt/part rw,relatime - xfs /dev/ublkb2p1 rw\n"
	"92 28 259:2 /sub /mnt/data rw,relatime shared:1 master:2 - ext4 /dev/ublkb3 rw,errors=continue\n";

static void a_mounted_device_is_found(void)
{
	char point[64];

	CHECK_TRUE(find_mount(mountinfo, "/dev/ublkb3", point));
	CHECK_STR("/mnt/data", point);
	CHECK_TRUE(find_mount(mountinfo, "/dev/ublkb10", point));
	CHECK_STR("/mnt/ten", point);
}

static void a_mounted_partition_counts(void)
{
	char point[64];

	CHECK_TRUE(find_mount(mountinfo, "/dev/ublkb2", point));
	CHECK_STR("/mnt/part", point);
}

static void another_device_with_a_longer_name_does_not_count(void)
{
	char point[64];

	CHECK_FALSE(find_mount(mountinfo, "/dev/ublkb1", point));
	CHECK_FALSE(find_mount("nonsense\n - \n1 2 3 - \n", "/dev/ublkb1", point));
}

static void control_characters_from_peers_become_question_marks(void)
{
	char text[] = "a\033[2Jb\r\nc\177";

	cli_sanitize(text);
	CHECK_STR("a?[2Jb??c?", text);
}

static void text_that_is_not_utf8_is_still_json(void)
{
	json_t *json = cli_json_text("a\xff\xfe");

	CHECK_NOT_NULL(json);
	CHECK_STR("a??", json_string_value(json));
	json_decref(json);
}

/* The letters of a short name are in many a word: "v" in "volume", "a" in "attached". */
static void a_message_names_its_object_only_as_a_word_before_a_colon(void)
{
	CHECK_TRUE(cli_names_object("v: it is suspended", "v"));
	CHECK_TRUE(cli_names_object("volume v, set 0: 0 of 3 voters answer", "v"));
	CHECK_TRUE(cli_names_object("volume name '': must be 1 to 63 letters", ""));
	CHECK_TRUE(cli_names_object("volume name 'a b': must be", "a b"));
	CHECK_TRUE(cli_names_object("10.0.0.1:7420: nobody listens there", "10.0.0.1:7420"));
	CHECK_FALSE(cli_names_object("short", ""));
	CHECK_FALSE(cli_names_object("is attached; 'lockstep volume detach v' first", "v"));
	CHECK_FALSE(cli_names_object("is attached already as /dev/ublkb0", "a"));
	CHECK_FALSE(cli_names_object("is the last replica in sync of set 0: what", "is"));
	CHECK_FALSE(cli_names_object("admin socket /run/lockstep/db.sock: Permission denied", "db"));
	CHECK_FALSE(cli_names_object("a text that is long before it says whose: db: yes", "db"));
}

static const struct check_test tests[] = {
	CHECK_TEST(every_exit_code_has_a_name_of_its_own),
	CHECK_TEST(exit_codes_keep_their_numbers),
	CHECK_TEST(a_mounted_device_is_found),
	CHECK_TEST(a_mounted_partition_counts),
	CHECK_TEST(another_device_with_a_longer_name_does_not_count),
	CHECK_TEST(control_characters_from_peers_become_question_marks),
	CHECK_TEST(text_that_is_not_utf8_is_still_json),
	CHECK_TEST(a_message_names_its_object_only_as_a_word_before_a_colon),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("cli_parts", tests, argc, argv);
}
