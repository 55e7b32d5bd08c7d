/* `lockstep replica check`: looks at a replica's directory without a server. Opens everything read-only. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/size.h"
#include "gateway/cli/commands.h"
#include "replica-server/drivers/store_check.h"

static json_t *problems_json(const struct check_report *check)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < check->problem_count && i < CHECK_PROBLEMS_MAX; i++)
		json_array_append_new(list, cli_json_text(check->problems[i]));
	return list;
}

static json_t *notes_json(const struct check_report *check)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < check->note_count; i++)
		json_array_append_new(list, cli_json_text(check->notes[i]));
	return list;
}

static json_t *identity_json(const struct superblock *sb)
{
	char volume[UUID_CHARS + 1], replica[UUID_CHARS + 1];

	uuid_format(&sb->config.volume_uuid, volume);
	uuid_format(&sb->replica_uuid, replica);
	return json_pack("{s:o, s:s, s:s, s:s, s:i, s:i, s:i, s:b, s:I}", "volume", cli_json_text(sb->volume_name),
			 "kind", superblock_is_witness(sb) ? "witness" : "replica", "volume_uuid", volume, "uuid",
			 replica, "set_index", (int)sb->config.set_index, "epoch", (int)sb->promised.epoch, "gen",
			 (int)sb->config.gen, "clean", sb->clean, "failed_syncs", (json_int_t)sb->failed_syncs);
}

static json_t *report_json(const char *dir, const struct store_report *report)
{
	const struct check_report *check = &report->check;

	return json_pack("{s:o, s:b, s:b, s:o, s:I, s:I, s:I, s:I, s:i, s:o, s:o}", "directory", cli_json_text(dir),
			 "in_use", report->in_use, "sound", check->problem_count == 0, "replica",
			 check->superblock_valid ? identity_json(&check->superblock) : json_null(), "data_bytes",
			 (json_int_t)check->data_bytes, "allocated_bytes", (json_int_t)check->data_allocated_bytes,
			 "stamp_blocks_damaged", (json_int_t)check->stamp_blocks_damaged, "regions_stamped",
			 (json_int_t)check->regions_stamped, "problem_count", (int)check->problem_count, "problems",
			 problems_json(check), "notes", notes_json(check));
}

static void print_identity(const struct superblock *sb)
{
	char uuid[UUID_CHARS + 1];

	uuid_format(&sb->replica_uuid, uuid);
	printf("  %s %s of volume %s, set %u; epoch %u, gen %u; %s\n",
	       superblock_is_witness(sb) ? "witness" : "replica", uuid, sb->volume_name, sb->config.set_index,
	       sb->promised.epoch, sb->config.gen, sb->clean ? "stopped in order" : "not stopped in order");
}

static void print_report(const char *dir, struct store_report *report)
{
	struct check_report *check = &report->check;
	char size[SIZE_TEXT_CHARS], allocated[SIZE_TEXT_CHARS];

	printf("%s: %s\n", dir, check->problem_count ? "damaged" : "sound");
	if (report->in_use)
		printf("  a running server (pid %d) holds it: what was read may be half a change\n",
		       report->in_use_pid);
	if (check->superblock_valid)
		print_identity(&check->superblock);
	size_format_rough(check->data_bytes, size);
	size_format_rough(check->data_allocated_bytes, allocated);
	if (!check->is_witness)
		printf("  data %s, %s allocated; %" PRIu64 " regions stamped\n", size, allocated,
		       check->regions_stamped);
	for (unsigned i = 0; i < check->problem_count && i < CHECK_PROBLEMS_MAX; i++) {
		cli_sanitize(check->problems[i]);
		printf("  problem: %s\n", check->problems[i]);
	}
	for (unsigned i = 0; i < check->note_count; i++) {
		cli_sanitize(check->notes[i]);
		printf("  note: %s\n", check->notes[i]);
	}
	if (check->problem_count > CHECK_PROBLEMS_MAX)
		printf("  and %u problems more\n", check->problem_count - CHECK_PROBLEMS_MAX);
}

static enum exit_code check_dir(struct cli *cli, const char *dir, struct store_report *report)
{
	struct err err;
	int error = store_check(dir, report, &err);

	if (error)
		return cli_fail_err(cli, exit_code_from_errno(error), dir, &err);
	if (!cli->json)
		print_report(dir, report);
	else if (cli_result(cli, report_json(dir, report)))
		return EXIT_INTERNAL;
	return report->check.problem_count ? EXIT_DAMAGED : EXIT_DONE;
}

static enum exit_code run(struct cli *cli, void *args)
{
	struct store_report *report = calloc(1, sizeof(*report));
	enum exit_code code;

	if (!report)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	code = check_dir(cli, cli->operands[0], report);
	free(report);
	return code;
}

const struct command command_replica_check = {
	.group = "replica",
	.name = "check",
	.operands = "DIR",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "check one replica's directory on this machine, read-only",
	.run = run,
};
