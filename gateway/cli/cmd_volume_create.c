/* `lockstep volume create`: checks all, creates a replica on every server, then writes the volume's file.
 * Whatever fails after the first replica was made is undone: no half volume stays behind unsaid. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file_io.h"
#include "common/random.h"
#include "common/size.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/plan.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

struct args {
	uint64_t size, block_size, chunk, sets, timeout;
	struct text_list replicas, replica_sets, witnesses, policy;
	bool no_witness;
};

static const struct option_spec options[] = {
	{"size", OPTION_SIZE, "SIZE", "how large, e.g. 1G; a multiple of the block size", offsetof(struct args, size),
	 BLOCK_BYTES_MIN, VOLUME_BYTES_MAX, 0},
	{"replica", OPTION_LIST, "[NAME=]HOST:PORT", "a lockstep-replica that keeps a copy; once per server",
	 offsetof(struct args, replicas), 0, 0, 0},
	{"replicas-set", OPTION_LIST, "X,Y,...", "the servers of one mirror set of a stripe; once per set",
	 offsetof(struct args, replica_sets), 0, 0, 0},
	{"witness", OPTION_LIST, "[NAME=]HOST:PORT",
	 "a lockstep-replica that only votes, in all sets it keeps no replica of", offsetof(struct args, witnesses), 0,
	 0, 0},
	{"no-witness", OPTION_FLAG, NULL, "two replicas alone: when one is lost, I/O waits for it",
	 offsetof(struct args, no_witness), 0, 0, 0},
	{"sets", OPTION_NUMBER, "N", "stripe over N mirror sets on the same servers", offsetof(struct args, sets), 1,
	 SET_COUNT_MAX, 0},
	{"chunk", OPTION_SIZE, "SIZE", "bytes of a stripe before the next set (1M)", offsetof(struct args, chunk),
	 CHUNK_BYTES_MIN, CHUNK_BYTES_MAX, 0},
	{"block-size", OPTION_SIZE, "SIZE", "logical block, 512 or 4096 (4096)", offsetof(struct args, block_size),
	 BLOCK_BYTES_MIN, BLOCK_BYTES_MAX, 0},
	{"policy", OPTION_LIST, "KEY=VALUE", "a key of lockstep-volume(5), e.g. min-in-sync=2; once per key",
	 offsetof(struct args, policy), 0, 0, 0},
	{"timeout", OPTION_NUMBER, "SECONDS", "how long to wait for each server (5)", offsetof(struct args, timeout), 1,
	 3600, 0},
	OPTION_END,
};

struct creation {
	struct cli *cli;
	struct volume_spec spec;
	struct servers servers;
	int timeout_ms;
	char path[PATH_MAX];
	unsigned begun; /* legs whose CREATE was sent, whatever came of it */
};

static struct uuid random_uuid(void *ctx)
{
	uint8_t random[16];

	random_bytes(random, sizeof(random));
	return uuid_from_random(random);
}

static enum exit_code plan(struct cli *cli, const struct args *args, struct volume_spec *ret)
{
	const struct plan_request request = {
		.name = cli->operands[0],
		.size_bytes = args->size,
		.block_bytes = args->block_size ? args->block_size : BLOCK_BYTES_MAX,
		.chunk_bytes = args->chunk ? args->chunk : CHUNK_BYTES_DEFAULT,
		.set_count = args->sets,
		.replicas = args->replicas,
		.replica_sets = args->replica_sets,
		.witnesses = args->witnesses,
		.policy = args->policy,
		.no_witness = args->no_witness,
	};
	struct err err;

	if (!args->size)
		return cli_fail(cli, EXIT_USAGE, "--size",
				"is missing; say how large the volume shall be, e.g. --size 1G");
	if (plan_volume(&request, random_uuid, NULL, ret, &err))
		return cli_fail_err(cli, EXIT_USAGE, cli->operands[0], &err);
	return EXIT_DONE;
}

/* Two addresses, one server: the copies would share a fate. Its incarnation gives it away. */
static enum exit_code check_servers_differ(struct creation *c, const struct set_spec *set, unsigned set_idx)
{
	for (unsigned i = 0; i < set->replica_count; i++) {
		const struct replica_spec *a = &set->replicas[i];
		const struct server *server = servers_find(&c->servers, a->address);

		for (unsigned j = 0; j < i; j++) {
			const struct replica_spec *b = &set->replicas[j];
			const struct server *other = servers_find(&c->servers, b->address);

			if (client_welcome(server->client)->incarnation == client_welcome(other->client)->incarnation)
				return cli_fail(c->cli, EXIT_USAGE, a->name,
						"set %u: %s and %s are the same server; each replica and witness needs "
						"its own",
						set_idx, b->address, a->address);
		}
	}
	return EXIT_DONE;
}

static enum exit_code reach_servers(struct creation *c)
{
	enum exit_code code = EXIT_DONE;

	if (servers_open(c->cli, &c->spec, c->timeout_ms, true, &c->servers)) {
		const struct server *bad = &c->servers.items[c->servers.count - 1];

		return cli_fail_err(c->cli, exit_code_from_errno(bad->err.code), bad->address, &bad->err);
	}
	for (unsigned i = 0; i < c->spec.set_count && !code; i++)
		code = check_servers_differ(c, &c->spec.sets[i], i);
	return code;
}

static enum exit_code create_replica(struct creation *c, unsigned leg)
{
	unsigned set;
	const struct replica_spec *replica = volume_leg_replica(&c->spec, leg, &set);
	struct message request = {.kind = MESSAGE_CREATE};
	struct err err;
	int error;

	cli_progress(c->cli, "creating %s %s of set %u on %s (%u of %u)", voter_kind_name(replica->kind), replica->name,
		     set, replica->address, leg + 1, volume_leg_count(&c->spec));
	snprintf(request.create.volume_name, sizeof(request.create.volume_name), "%s", c->spec.name);
	request.create.replica_uuid = replica->uuid;
	plan_config(&c->spec, set, &request.create.config);
	c->begun = leg + 1;
	error = client_call(servers_find(&c->servers, replica->address)->client, &request, MESSAGE_CREATED, NULL, &err);
	if (error)
		return cli_fail_err(c->cli, exit_code_from_errno(error), replica->address, &err);
	if (cli_was_interrupted())
		return cli_fail(c->cli, EXIT_INTERRUPTED, c->spec.name, "interrupted; undoing what was created");
	return EXIT_DONE;
}

/* A connection of its own: the old one may have died in the middle of the CREATE that failed. */
static void undo_replica(struct creation *c, unsigned leg)
{
	const struct replica_spec *replica = volume_leg_replica(&c->spec, leg, NULL);
	struct message request = {.kind = MESSAGE_DELETE};
	char uuid[UUID_CHARS + 1];
	struct client *client;
	struct err err;
	int error;

	request.delete.volume_uuid = c->spec.uuid;
	request.delete.replica_uuid = replica->uuid;
	error = client_open(replica->address, c->timeout_ms, &client, &err);
	if (!error) {
		error = client_call(client, &request, MESSAGE_DELETED, NULL, &err);
		client_close(client);
	}
	if (!error || error == -ENOENT)
		return;
	uuid_format(&replica->uuid, uuid);
	cli_warn(c->cli, "%s %s may be left behind on %s (%s); 'lockstep replica list --server %s' shows it",
		 voter_kind_name(replica->kind), uuid, replica->address, err.text, replica->address);
}

static void undo(struct creation *c)
{
	for (unsigned leg = c->begun; leg > 0; leg--)
		undo_replica(c, leg - 1);
	if (c->begun)
		cli_warn(c->cli, "%s: nothing was created", c->spec.name);
}

static enum exit_code create_all(struct creation *c)
{
	enum exit_code code = EXIT_DONE;
	struct err err;
	int error;

	cli_hold_signals();
	for (unsigned leg = 0; leg < volume_leg_count(&c->spec) && !code; leg++)
		code = create_replica(c, leg);
	if (!code) {
		error = volume_file_save(c->path, &c->spec, &err);
		if (error)
			code = cli_fail_err(c->cli, exit_code_from_errno(error), c->path, &err);
	}
	if (code)
		undo(c);
	return code;
}

static enum exit_code report(const struct creation *c)
{
	const char *advice = plan_advice(&c->spec);
	unsigned replicas, witnesses;
	char size[SIZE_TEXT_CHARS];

	if (c->cli->json)
		return cli_result(c->cli, json_pack("{s:o, s:o}", "volume", volumes_json(&c->spec, c->path), "warnings",
						    advice ? json_pack("[s]", advice) : json_array()));
	if (advice)
		cli_warn(c->cli, "%s: %s", c->spec.name, advice);
	cli_progress_end(c->cli);
	size_format_rough(c->spec.size_bytes, size);
	volume_kind_counts(&c->spec, &replicas, &witnesses);
	printf("volume %s created: %s, %u mirror set%s, %u replica%s, %u witness%s, blocks of %u bytes\n", c->spec.name,
	       size, c->spec.set_count, c->spec.set_count == 1 ? "" : "s", replicas, replicas == 1 ? "" : "s",
	       witnesses, witnesses == 1 ? "" : "es", c->spec.block_bytes);
	printf("file: %s\nnext: lockstep volume attach %s\n", c->path, c->spec.name);
	return EXIT_DONE;
}

static enum exit_code create_locked(struct creation *c)
{
	enum exit_code code;

	if (!access(c->path, F_OK))
		return cli_fail(c->cli, EXIT_EXISTS, c->spec.name,
				"exists: %s; choose another name, or delete it with 'lockstep volume delete %s'",
				c->path, c->spec.name);
	code = reach_servers(c);
	if (!code)
		code = create_all(c);
	if (!code)
		code = report(c);
	servers_close(&c->servers);
	return code;
}

static enum exit_code run(struct cli *cli, void *data)
{
	const struct args *args = data;
	struct creation *c = calloc(1, sizeof(*c));
	enum exit_code code;
	struct err err;
	int lock;

	if (!c)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	c->cli = cli;
	c->timeout_ms = (int)(args->timeout ? args->timeout : 5) * 1000;
	code = plan(cli, args, &c->spec);
	if (code)
		goto out;
	lock = volume_file_path(cli->config_dir, c->spec.name, c->path, sizeof(c->path), &err);
	if (!lock)
		lock = volumes_lock(cli, &err);
	if (lock < 0) {
		code = cli_fail_err(cli, exit_code_from_errno(lock), c->spec.name, &err);
		goto out;
	}
	code = create_locked(c);
	close(lock);
out:
	free(c);
	return code;
}

const struct command command_volume_create = {
	.group = "volume",
	.name = "create",
	.operands = "NAME",
	.operands_min = 1,
	.operands_max = 1,
	.summary = "create a replicated volume on running lockstep-replica servers",
	.detail =
		"Every set gets a replica on each --replica server, unless --replicas-set says which set uses which.\n"
		"One to five replicas a set. Two want a witness, which keeps no data but votes: a majority must "
		"outlive "
		"a\nlost server, and one of two is none.\n"
		"  lockstep volume create data --size 100G --replica a=node1:7420 --replica b=node2:7420 --replica "
		"c=node3:7420\n"
		"  lockstep volume create pair --size 100G --replica node1:7420 --replica node2:7420 --witness "
		"node3:7420\n"
		"  lockstep volume create fast --size 1T --replicas-set node1:7420,node2:7420 --replicas-set "
		"node3:7420,node4:7420 --witness node5:7420",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
