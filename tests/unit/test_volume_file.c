/* The volume's file: what is written reads back, and every refusal names file, line, key and reason. */
#include "gateway/drivers/volume_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/yaml_file.h"
#include "tests/unit/check.h"

static const char good[] = "format: 1\n"				      /* 1 */
			   "name: data\n"				      /* 2 */
			   "uuid: 11111111-1111-4111-8111-111111111111\n"     /* 3 */
			   "size: 1G\n"					      /* 4 */
			   "block-size: 4096\n"				      /* 5 */
			   "chunk: 1M\n"				      /* 6 */
			   "sets:\n"					      /* 7 */
			   "- uuid: 22222222-2222-4222-8222-222222222222\n"   /* 8 */
			   "  replicas:\n"				      /* 9 */
			   "  - name: a\n"				      /* 10 */
			   "    uuid: 33333333-3333-4333-8333-333333333333\n" /* 11 */
			   "    address: 127.0.0.1:7420\n"		      /* 12 */
			   "  - name: b\n"				      /* 13 */
			   "    uuid: 44444444-4444-4444-8444-444444444444\n" /* 14 */
			   "    address: node2:7420\n";			      /* 15 */

struct scratch {
	char dir[64];
	char path[96];
};

static void scratch_make(struct scratch *s)
{
	snprintf(s->dir, sizeof(s->dir), "/tmp/test_volume_file.XXXXXX");
	CHECK_NOT_NULL(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/data.yaml", s->dir);
}

static void scratch_remove(const struct scratch *s)
{
	unlink(s->path);
	rmdir(s->dir);
}

static void write_text(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "we");

	CHECK_NOT_NULL(file);
	CHECK_EQ_U64(len, fwrite(text, 1, len, file));
	fclose(file);
}

/* `good` with the first `from` replaced by `to`. The caller frees. */
static char *edited(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char *text = NULL;

	CHECK_NOT_NULL(at);
	CHECK_TRUE(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
	return text;
}

static void load_text(const char *text, size_t len, int expected, struct err *ret)
{
	struct volume_spec spec;
	struct scratch s;
	int error;

	memset(ret, 0, sizeof(*ret));
	scratch_make(&s);
	write_text(s.path, text, len);
	error = volume_file_load(s.path, &spec, ret);
	scratch_remove(&s);
	if (error != expected)
		CHECK_FAIL("expected %d, got %d (%s) for:\n%s", expected, error, ret->text, text);
}

/* The edited file is refused on line `line` with `part` in the reason. */
static void refuses(const char *from, const char *to, unsigned line, const char *part)
{
	char *text = edited(from, to);
	char place[32];
	struct err err;

	load_text(text, strlen(text), -EINVAL, &err);
	snprintf(place, sizeof(place), "data.yaml:%u: ", line);
	CHECK_STR_HAS(place, err.text);
	CHECK_STR_HAS(part, err.text);
	free(text);
}

static void a_good_file_becomes_the_spec(void)
{
	struct volume_spec spec;
	struct scratch s;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &spec, &err));
	CHECK_STR("data", spec.name);
	CHECK_EQ_U64(GIB, spec.size_bytes);
	CHECK_EQ_U64(4096, spec.block_bytes);
	CHECK_EQ_U64(MIB, spec.chunk_bytes);
	CHECK_EQ_U64(1, spec.set_count);
	CHECK_EQ_U64(2, spec.sets[0].replica_count);
	CHECK_STR("b", spec.sets[0].replicas[1].name);
	CHECK_STR("node2:7420", spec.sets[0].replicas[1].address);
	CHECK_EQ_INT(VOTER_REPLICA, spec.sets[0].replicas[1].kind);
	CHECK_EQ_U64(0x44, spec.sets[0].replicas[1].uuid.bytes[0]);
	scratch_remove(&s);
}

static void what_is_saved_reads_back_the_same(void)
{
	struct volume_spec first, second;
	struct scratch s;
	struct stat st;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &first, &err));
	first.set_count = 2;
	first.sets[1] = first.sets[0];
	first.sets[1].uuid.bytes[0] = 1;
	first.sets[1].replicas[0].uuid.bytes[0] = 2;
	first.sets[1].replicas[1].uuid.bytes[0] = 3;
	CHECK_OK(volume_file_save(s.path, &first, &err));
	CHECK_OK(volume_file_load(s.path, &second, &err));
	CHECK_MEM(&first, &second, sizeof(first));
	CHECK_EQ_INT(0, stat(s.path, &st));
	CHECK_EQ_U64(0644, st.st_mode & 07777);
	scratch_remove(&s);
}

static const char witness[] = "  witnesses:\n"					 /* 16 */
			      "  - name: w\n"					 /* 17 */
			      "    uuid: 55555555-5555-4555-8555-555555555555\n" /* 18 */
			      "    address: node3:7420\n";			 /* 19 */

static void a_witness_stands_in_a_list_of_its_own(void)
{
	struct volume_spec first, second;
	char text[sizeof(good) + sizeof(witness)];
	struct scratch s;
	struct err err;

	scratch_make(&s);
	snprintf(text, sizeof(text), "%s%s", good, witness);
	write_text(s.path, text, strlen(text));
	CHECK_OK(volume_file_load(s.path, &first, &err));
	CHECK_EQ_U64(3, first.sets[0].replica_count);
	CHECK_EQ_INT(VOTER_REPLICA, first.sets[0].replicas[1].kind);
	CHECK_EQ_INT(VOTER_WITNESS, first.sets[0].replicas[2].kind);
	CHECK_STR("w", first.sets[0].replicas[2].name);
	CHECK_STR("node3:7420", first.sets[0].replicas[2].address);
	CHECK_OK(volume_file_save(s.path, &first, &err));
	CHECK_OK(volume_file_load(s.path, &second, &err));
	CHECK_MEM(&first, &second, sizeof(first));
	scratch_remove(&s);
}

/* `good` with that witness, edited. */
static void refuses_witness(const char *from, const char *to, unsigned line, const char *part)
{
	const char *at = strstr(witness, from);
	char *text = NULL, place[32];
	struct err err;

	CHECK_NOT_NULL(at);
	CHECK_TRUE(asprintf(&text, "%s%.*s%s%s", good, (int)(at - witness), witness, to, at + strlen(from)) > 0);
	load_text(text, strlen(text), -EINVAL, &err);
	snprintf(place, sizeof(place), "data.yaml:%u: ", line);
	CHECK_STR_HAS(place, err.text);
	CHECK_STR_HAS(part, err.text);
	free(text);
}

static void bad_witnesses_are_refused(void)
{
	refuses_witness("55555555-5555-4555-8555-555555555555", "x", 18, "'x' is not a uuid");
	refuses_witness("55555555-5555-4555-8555-555555555555", "44444444-4444-4444-8444-444444444444", 8, "same uuid");
	refuses_witness("name: w", "name: a", 8, "named a");
	refuses_witness("address: node3:7420", "address: node2:7420", 8, "same address");
	refuses_witness("    address: node3:7420\n", "", 18, "address");
	refuses_witness("  - name: w\n",
			"  - {name: v, uuid: 66666666-6666-4666-8666-666666666661, address: x1}\n"
			"  - {name: v, uuid: 66666666-6666-4666-8666-666666666662, address: x2}\n"
			"  - {name: v, uuid: 66666666-6666-4666-8666-666666666663, address: x3}\n"
			"  - {name: v, uuid: 66666666-6666-4666-8666-666666666664, address: x4}\n"
			"  - {name: v, uuid: 66666666-6666-4666-8666-666666666665, address: x5}\n"
			"  - name: w\n",
			22, "more than 7");
}

static const char *const policy_values[POLICY_KEY_COUNT] = {"error", "7", "2", "5", "100M", "never", "20", "90"};

static void every_key_of_the_policy_is_read_and_saved(void)
{
	struct volume_spec first, second;
	char text[1024], value[POLICY_TEXT_CHARS];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", good);
	struct scratch s;
	struct err err;

	scratch_make(&s);
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s: %s\n", policy_key(i), policy_values[i]);
	write_text(s.path, text, used);
	CHECK_OK(volume_file_load(s.path, &first, &err));
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++) {
		CHECK_TRUE(policy_give(&first.policy, i, value));
		CHECK_STR(policy_values[i], value);
	}
	CHECK_EQ_U64(100 * MIB, first.policy.resync_rate);
	CHECK_EQ_U64(90, first.policy.slow_rest);
	CHECK_OK(volume_file_save(s.path, &first, &err));
	CHECK_OK(volume_file_load(s.path, &second, &err));
	CHECK_MEM(&first, &second, sizeof(first));
	scratch_remove(&s);
}

static void what_the_policy_does_not_say_stays_unsaid(void)
{
	char value[POLICY_TEXT_CHARS];
	struct volume_spec spec;
	struct scratch s;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &spec, &err));
	for (unsigned i = 0; i < POLICY_KEY_COUNT; i++)
		CHECK_FALSE(policy_give(&spec.policy, i, value));
	scratch_remove(&s);
}

static void bad_policies_are_refused_on_their_line(void)
{
	refuses("chunk: 1M\n", "chunk: 1M\non-no-quorum: panic\n", 7,
		"on-no-quorum: 'panic' is neither suspend nor error");
	refuses("chunk: 1M\n", "chunk: 1M\nquorum-deadline: 0\n", 7,
		"quorum-deadline: 0 is out of range, 1 to 86400 seconds");
	refuses("chunk: 1M\n", "chunk: 1M\nquorum-deadline: 1s\n", 7,
		"quorum-deadline: '1s' is not a number of seconds");
	refuses("chunk: 1M\n", "chunk: 1M\nmin-in-sync: 0\n", 7, "min-in-sync: 0 is out of range, 1 to 5");
	refuses("chunk: 1M\n", "chunk: 1M\nmin-in-sync: 3\n", 7, "set 0 has 2 replicas only");
	refuses("chunk: 1M\n", "chunk: 1M\nanswer-deadline: -1\n", 7, "answer-deadline: '-1' is not a number");
	refuses("chunk: 1M\n", "chunk: 1M\nresync-rate: 10\n", 7, "resync-rate: 10 is out of range, 1M to 1T");
	refuses("chunk: 1M\n", "chunk: 1M\nresync-rate: fast\n", 7, "resync-rate: 'fast' is not a size");
	refuses("chunk: 1M\n", "chunk: 1M\nslow-factor: 1\n", 7, "slow-factor: 1 is out of range");
	refuses("chunk: 1M\n", "chunk: 1M\nslow-factor: often\n", 7, "'often' is not a number, nor never");
	refuses("chunk: 1M\n", "chunk: 1M\nslow-time: 99999999999999999999\n", 7, "slow-time: 9999");
	refuses("chunk: 1M\n", "chunk: 1M\nslow-rest: \"\"\n", 7, "slow-rest: '' is not a number");
	refuses("chunk: 1M\n", "chunk: 1M\nslow-rest: [1]\n", 7, "STRING");
}

static void an_impossible_spec_is_not_saved(void)
{
	struct volume_spec spec;
	struct scratch s;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &spec, &err));
	unlink(s.path);
	spec.size_bytes = 1;
	CHECK_ERRNO(-EINVAL, volume_file_save(s.path, &spec, &err));
	CHECK_EQ_INT(-1, access(s.path, F_OK));
	scratch_remove(&s);
}

static void saving_leaves_no_temporary_file(void)
{
	struct volume_spec spec;
	struct scratch s;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &spec, &err));
	CHECK_OK(volume_file_save(s.path, &spec, &err));
	unlink(s.path);
	CHECK_EQ_INT(0, rmdir(s.dir)); /* empty */
}

static void saving_into_no_directory_names_the_file(void)
{
	struct volume_spec spec;
	struct scratch s;
	struct err err;

	scratch_make(&s);
	write_text(s.path, good, strlen(good));
	CHECK_OK(volume_file_load(s.path, &spec, &err));
	CHECK_ERRNO(-ENOENT, volume_file_save("/tmp/no-such-directory-here/x.yaml", &spec, &err));
	CHECK_STR_HAS("/tmp/no-such-directory-here/x.yaml", err.text);
	scratch_remove(&s);
}

static void a_missing_file_is_enoent(void)
{
	struct volume_spec spec;
	struct err err;

	CHECK_ERRNO(-ENOENT, volume_file_load("/tmp/no-such-volume.yaml", &spec, &err));
	CHECK_STR_HAS("/tmp/no-such-volume.yaml", err.text);
}

static void a_directory_is_no_volume_file(void)
{
	struct volume_spec spec;
	struct err err;

	CHECK_ERRNO(-EISDIR, volume_file_load("/tmp", &spec, &err));
}

static void an_unknown_key_is_refused_on_its_line(void)
{
	refuses("chunk: 1M\n", "chunk: 1M\nchnuk: 2M\n", 7, "unknown key 'chnuk'");
	refuses("    address: node2:7420\n", "    address: node2:7420\n    kind: witness\n", 16, "unknown key 'kind'");
}

static void a_missing_key_is_refused_by_name(void)
{
	struct err err;
	char *text = edited("size: 1G\n", "");

	load_text(text, strlen(text), -EINVAL, &err);
	CHECK_STR_HAS("size", err.text);
	CHECK_STR_HAS("data.yaml:", err.text);
	free(text);
	refuses("    address: 127.0.0.1:7420\n", "", 11, "address");
}

static void a_duplicate_key_names_both_lines(void)
{
	refuses("chunk: 1M\n", "chunk: 1M\nsize: 2G\n", 7, "duplicate key 'size', first given on line 4");
}

static void a_wrong_type_is_refused(void)
{
	refuses("size: 1G", "size: [1, 2]", 4, "STRING");
	refuses("format: 1", "format: one", 1, "one");
	refuses("format: 1", "format: -1", 1, "-1");
	refuses("sets:\n", "sets: none\nother:\n", 7, "SEQUENCE");
}

static void a_value_too_long_is_refused(void)
{
	refuses("name: data",
		"name: "
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
		2, "length");
}

static void a_newer_format_is_refused(void)
{
	refuses("format: 1", "format: 2", 1, "2 is not known to this version");
}

static void sizes_that_cannot_be_are_refused(void)
{
	refuses("size: 1G", "size: 0", 4, "greater than 0");
	refuses("size: 1G", "size: big", 4, "'big' is not a size");
	refuses("size: 1G", "size: -1G", 4, "is not a size");
	refuses("size: 1G", "size: 99999999999999999999G", 4, "too large");
	refuses("size: 1G", "size: 4097", 4, "not a multiple of the block size");
	refuses("block-size: 4096", "block-size: 1000", 5, "512 or 4096");
	refuses("block-size: 4096", "block-size: 2048", 5, "512 or 4096");
	refuses("chunk: 1M", "chunk: 1000", 6, "chunk");
	refuses("chunk: 1M", "chunk: 1T", 6, "too large");
}

static void a_bad_name_is_refused(void)
{
	refuses("name: data", "name: ../data", 2, "name");
	refuses("name: data", "name: \"\"", 2, "length");
}

static void a_bad_uuid_is_refused(void)
{
	refuses("11111111-1111", "1111111-1111", 3, "is not a uuid");
	refuses("44444444-4444-4444-8444-444444444444", "00000000-0000-0000-0000-000000000000", 14, "nil uuid");
}

static void duplicate_replicas_are_refused(void)
{
	refuses("name: b", "name: a", 8, "named a");
	refuses("address: node2:7420", "address: 127.0.0.1:7420", 8, "same address");
	refuses("44444444-4444-4444-8444-444444444444", "33333333-3333-4333-8333-333333333333", 8, "same uuid");
}

static void too_many_replicas_are_refused(void)
{
	refuses("  - name: b\n",
		"  - {name: c, uuid: x, address: x}\n  - {name: c, uuid: x, address: x}\n"
		"  - {name: c, uuid: x, address: x}\n  - {name: c, uuid: x, address: x}\n"
		"  - {name: c, uuid: x, address: x}\n  - {name: c, uuid: x, address: x}\n  - name: b\n",
		17, "entries");
}

static void an_empty_list_of_sets_is_refused(void)
{
	struct err err;
	static const char text[] = "format: 1\nname: x\nuuid: x\nsize: 1G\nblock-size: 512\nchunk: 1M\nsets: []\n";

	load_text(text, strlen(text), -EINVAL, &err);
	CHECK_STR_HAS("data.yaml:7: ", err.text);
}

static void broken_yaml_is_refused_with_its_line(void)
{
	struct err err;

	refuses("name: data", "name: \"data", 16, "unexpected end of stream");
	refuses("size: 1G", "size: &s 1G", 4, "anchors");
	refuses("size: 1G", "size: *s", 4, "aliases");
	refuses("sets:\n", "---\nsets:\n", 7, "one document");
	load_text("", 0, -EINVAL, &err);
	CHECK_STR_HAS("data.yaml:1: the file is empty", err.text);
	load_text("- a\n", 4, -EINVAL, &err);
	CHECK_STR_HAS("data.yaml:1: expected 'key: value' lines", err.text);
	load_text("name: \"a\\0b\"\n", 13, -EINVAL, &err);
	CHECK_STR_HAS("contains a NUL", err.text);
}

static void deep_nesting_is_refused(void)
{
	char text[256] = "sets: ";
	struct err err;

	memset(text + 6, '[', 200);
	load_text(text, strlen(text), -EINVAL, &err);
	CHECK_STR_HAS("nested too deeply", err.text);
}

static void a_huge_file_is_refused(void)
{
	char *text = calloc(1, YAML_FILE_BYTES_MAX + 1);
	struct err err;

	CHECK_NOT_NULL(text);
	memset(text, '#', YAML_FILE_BYTES_MAX + 1);
	load_text(text, YAML_FILE_BYTES_MAX + 1, -EFBIG, &err);
	free(text);
}

static void random_bytes_never_crash_the_loader(void)
{
	struct check_random random;

	check_random_init(&random);
	for (unsigned round = 0; round < 300; round++) {
		char text[sizeof(good)];
		struct volume_spec spec;
		struct scratch s;
		struct err err;

		memcpy(text, good, sizeof(good));
		for (unsigned i = 0; i < 1 + round % 8; i++)
			text[check_random_below(&random, sizeof(good) - 1)] = (char)check_random_next(&random);
		scratch_make(&s);
		write_text(s.path, text, sizeof(good) - 1);
		if (volume_file_load(s.path, &spec, &err) == 0)
			CHECK_OK(volume_spec_check(&spec, &err));
		scratch_remove(&s);
	}
}

static void a_name_cannot_leave_the_directory(void)
{
	static const char *const bad[] = {"", "..", ".", "a/b", "../a", "/etc/passwd"};
	char path[PATH_MAX];
	struct err err;

	for (unsigned i = 0; i < ARRAY_COUNT(bad); i++)
		CHECK_ERRNO(-EINVAL, volume_file_path("/etc/lockstep", bad[i], path, sizeof(path), &err));
	CHECK_OK(volume_file_path("/etc/lockstep", "data", path, sizeof(path), &err));
	CHECK_STR("/etc/lockstep/volumes/data.yaml", path);
	CHECK_ERRNO(-ENAMETOOLONG, volume_file_path("/etc/lockstep", "data", path, 10, &err));
}

static const struct check_test tests[] = {
	CHECK_TEST(a_good_file_becomes_the_spec),
	CHECK_TEST(what_is_saved_reads_back_the_same),
	CHECK_TEST(a_witness_stands_in_a_list_of_its_own),
	CHECK_TEST(bad_witnesses_are_refused),
	CHECK_TEST(every_key_of_the_policy_is_read_and_saved),
	CHECK_TEST(what_the_policy_does_not_say_stays_unsaid),
	CHECK_TEST(bad_policies_are_refused_on_their_line),
	CHECK_TEST(an_impossible_spec_is_not_saved),
	CHECK_TEST(saving_leaves_no_temporary_file),
	CHECK_TEST(saving_into_no_directory_names_the_file),
	CHECK_TEST(a_missing_file_is_enoent),
	CHECK_TEST(a_directory_is_no_volume_file),
	CHECK_TEST(an_unknown_key_is_refused_on_its_line),
	CHECK_TEST(a_missing_key_is_refused_by_name),
	CHECK_TEST(a_duplicate_key_names_both_lines),
	CHECK_TEST(a_wrong_type_is_refused),
	CHECK_TEST(a_value_too_long_is_refused),
	CHECK_TEST(a_newer_format_is_refused),
	CHECK_TEST(sizes_that_cannot_be_are_refused),
	CHECK_TEST(a_bad_name_is_refused),
	CHECK_TEST(a_bad_uuid_is_refused),
	CHECK_TEST(duplicate_replicas_are_refused),
	CHECK_TEST(too_many_replicas_are_refused),
	CHECK_TEST(an_empty_list_of_sets_is_refused),
	CHECK_TEST(broken_yaml_is_refused_with_its_line),
	CHECK_TEST(deep_nesting_is_refused),
	CHECK_TEST(a_huge_file_is_refused),
	CHECK_TEST(random_bytes_never_crash_the_loader),
	CHECK_TEST(a_name_cannot_leave_the_directory),
};

int main(int argc, char **argv)
{
	return CHECK_MAIN("volume_file", tests, argc, argv);
}
