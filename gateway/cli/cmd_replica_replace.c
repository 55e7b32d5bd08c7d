/* `lockstep replica replace`: a new directory for a replica or witness that lost its own. The server makes it blank: it
 * has no vote before a gateway of the volume, with a majority of the others, has given it one. Then everything is
 * copied to it, which is shown. Changes one file, and only with --address. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/clock.h"
#include "common/size.h"
#include "gateway/cli/client.h"
#include "gateway/cli/commands.h"
#include "gateway/cli/plan.h"
#include "gateway/cli/status_view.h"
#include "gateway/cli/volumes.h"
#include "gateway/drivers/volume_file.h"

#define POLL_MS 250
#define LINE_MS 5000 /* between two lines of progress where there is no terminal */

struct args {
	const char *address;
	bool no_wait;
	uint64_t timeout;
};

static const struct option_spec options[] = {
	{"address", OPTION_TEXT, "HOST:PORT", "on this server from now on; changes the volume's file",
	 offsetof(struct args, address), 0, 0, 0},
	{"no-wait", OPTION_FLAG, NULL, "do not wait until it is in sync", offsetof(struct args, no_wait), 0, 0, 0},
	{"timeout", OPTION_NUMBER, "SECONDS", "how long to wait for each answer of a server (5)",
	 offsetof(struct args, timeout), 1, 3600, 0},
	OPTION_END,
};

struct replacement {
	struct cli *cli;
	const struct args *args;
	const char *replica;
	int timeout_ms;
	char path[PATH_MAX];
	struct volume_spec spec;
	char address[ADDRESS_CHARS_MAX + 1];
	uint64_t legs;	/* that bear the name: one in each set at most */
	uint64_t fresh; /* those that got a new directory, or have one that waits */
	bool is_attached;
	struct admin_reply status;
	uint64_t told_ns;
};

static struct replica_spec *replica_of(struct replacement *r, unsigned leg)
{
	unsigned set;

	(void)volume_leg_replica(&r->spec, leg, &set);
	for (unsigned i = 0; i < set; i++)
		leg -= r->spec.sets[i].replica_count;
	return &r->spec.sets[set].replicas[leg];
}

/* A set of two has no majority without one of them. */
static enum exit_code check_set(struct replacement *r, unsigned set)
{
	unsigned voters = r->spec.sets[set].replica_count;

	if (voters > 2)
		return EXIT_DONE;
	return cli_fail(
		r->cli, EXIT_REFUSED, r->replica,
		"set %u has %u voter%s: a new directory has no vote before a majority without it has agreed, and "
		"there is none; bring the old one back, or create another volume and copy the data",
		set, voters, voters == 1 ? "" : "s");
}

static enum exit_code find_legs(struct replacement *r)
{
	enum exit_code code = EXIT_DONE;
	unsigned set;

	for (unsigned leg = 0; leg < volume_leg_count(&r->spec) && !code; leg++) {
		if (strcmp(volume_leg_replica(&r->spec, leg, &set)->name, r->replica) != 0)
			continue;
		r->legs |= 1ull << leg;
		code = check_set(r, set);
	}
	if (!r->legs)
		return cli_fail(r->cli, EXIT_NOT_FOUND, r->replica,
				"volume %s has no such replica or witness; 'lockstep volume show %s' names them",
				r->spec.name, r->spec.name);
	return code;
}

/* A gateway knows who is in sync; without one the next attach finds out. */
static enum exit_code ask_gateway(struct replacement *r)
{
	struct admin_status *status = &r->status.status;
	struct err err;
	int error = volumes_status(r->cli, r->spec.name, &r->status, &err);

	r->is_attached = !error;
	if (volumes_is_not_attached(error))
		return EXIT_DONE;
	if (error)
		return cli_fail_err(r->cli, exit_code_from_errno(error), r->spec.name, &err);
	status_sanitize(status);
	for (unsigned leg = 0; leg < status->leg_count; leg++) {
		const struct admin_leg *it = &status->legs[leg];

		if (!(r->legs & 1ull << leg) || strcmp(it->member, "in-sync") != 0 ||
		    status->sets[it->set_index].in_sync > 1)
			continue;
		return cli_fail(
			r->cli, EXIT_REFUSED, r->replica,
			"is the last replica in sync of set %u: what only it has would be lost; bring its directory "
			"back, or detach and give it up by name: volume attach --force --accept-data-loss",
			it->set_index);
	}
	return EXIT_DONE;
}

struct search {
	struct uuid uuid;
	bool is_found;
};

static bool note_replica(void *ctx, const struct replica_info *info)
{
	struct search *search = ctx;

	search->is_found |= uuid_equal(&info->replica_uuid, &search->uuid) && !info->is_blank;
	return !search->is_found;
}

/* Moved to another server while the old one still has it: two would call themselves the same. Best effort: where it
 * cannot be asked, the config tells the two apart. */
static enum exit_code check_old_server(struct replacement *r, unsigned leg)
{
	const struct replica_spec *replica = replica_of(r, leg);
	struct search search = {.uuid = replica->uuid};
	struct client *client;
	struct err err;

	if (client_open(replica->address, r->timeout_ms, &client, &err))
		return EXIT_DONE;
	if (client_list(client, note_replica, &search, &err))
		cli_warn(r->cli, "%s", err.text);
	client_close(client);
	if (!search.is_found)
		return EXIT_DONE;
	return cli_fail(r->cli, EXIT_EXISTS, r->replica,
			"its directory is still on %s; move it away or remove it, and start that server again",
			replica->address);
}

static enum exit_code move_legs(struct replacement *r)
{
	struct address address;
	enum exit_code code = EXIT_DONE;
	struct err err;

	if (!r->args->address)
		return EXIT_DONE;
	if (address_parse(r->args->address, PORT_DEFAULT, &address, &err))
		return cli_fail_err(r->cli, EXIT_USAGE, "--address", &err);
	address_format(&address, r->address);
	for (unsigned leg = 0; leg < volume_leg_count(&r->spec) && !code; leg++) {
		if (!(r->legs & 1ull << leg))
			continue;
		code = check_old_server(r, leg);
		memcpy(replica_of(r, leg)->address, r->address, sizeof(r->address));
	}
	if (!code && volume_spec_check(&r->spec, &err))
		return cli_fail_err(r->cli, EXIT_USAGE, "--address", &err);
	return code;
}

/* The first refusal is kept: it counts if nothing could be made. */
static void make_blank(struct replacement *r, unsigned leg, struct err *first)
{
	const struct replica_spec *replica = replica_of(r, leg);
	struct message request = {.kind = MESSAGE_REPLACE};
	struct client *client;
	struct err err;
	unsigned set;
	int error;

	(void)volume_leg_replica(&r->spec, leg, &set);
	cli_progress(r->cli, "asking %s for a new directory for %s %s of set %u: the old one then counts no more, %s",
		     replica->address, voter_kind_name(replica->kind), replica->name, set,
		     replica->kind == VOTER_WITNESS ? "and it votes again when a gateway has let it"
						    : "and everything will be copied to it");
	snprintf(request.create.volume_name, sizeof(request.create.volume_name), "%s", r->spec.name);
	request.create.replica_uuid = replica->uuid;
	plan_config(&r->spec, set, &request.create.config);
	error = client_open(replica->address, r->timeout_ms, &client, &err);
	if (!error) {
		error = client_call(client, &request, MESSAGE_REPLACED, NULL, &err);
		client_close(client);
	}
	if (!error)
		r->fresh |= 1ull << leg;
	else if (!first->code)
		*first = err;
}

static enum exit_code make_all(struct replacement *r)
{
	struct err first = {.code = 0}, err;

	for (unsigned leg = 0; leg < volume_leg_count(&r->spec); leg++) {
		if (r->legs & 1ull << leg)
			make_blank(r, leg, &first);
	}
	if (!r->fresh || (first.code && first.code != -EEXIST))
		return cli_fail_err(r->cli, exit_code_from_errno(first.code), r->replica, &first);
	/* In other sets it lost nothing. */
	if (first.code)
		cli_warn(r->cli, "left as it is: %s", first.text);
	if (r->args->address && volume_file_save(r->path, &r->spec, &err))
		return cli_fail_err(r->cli, exit_code_from_errno(err.code), r->path, &err);
	return EXIT_DONE;
}

static enum exit_code make_locked(struct replacement *r)
{
	struct err err;
	int lock = volumes_lock(r->cli, &err);
	enum exit_code code;

	if (lock < 0)
		return cli_fail_err(r->cli, exit_code_from_errno(lock), r->spec.name, &err);
	code = move_legs(r);
	if (!code)
		code = make_all(r);
	close(lock);
	return code;
}

/* ---- until it is in sync ---- */

static bool is_done(const struct admin_leg *leg)
{
	return !strcmp(leg->member, "votes") || (!strcmp(leg->member, "in-sync") && !strcmp(leg->state, "up"));
}

static void tell_leg(struct replacement *r, const struct admin_leg *leg)
{
	char left[SIZE_TEXT_CHARS], total[SIZE_TEXT_CHARS], rate[SIZE_TEXT_CHARS], eta[DURATION_CHARS] = "unknown time";
	uint64_t eta_ms;

	if (strcmp(leg->member, "syncing") != 0) {
		cli_progress(r->cli, "%s, set %u: %s%s%s", leg->name, leg->set_index, leg->state,
			     leg->last_error[0] ? ", " : "", leg->last_error);
		return;
	}
	size_format_rough(leg->resync_left_bytes, left);
	size_format_rough(leg->resync_total_bytes, total);
	size_format_rough(status_resync_rate(leg), rate);
	if (status_resync_eta_ms(leg, &eta_ms))
		duration_format(eta_ms, eta);
	cli_progress(r->cli, "%s, set %u: %s of %s left, %s/s, in sync in %s", leg->name, leg->set_index, left, total,
		     rate, eta);
}

/* The first that is not there yet, or NULL. */
static const struct admin_leg *waited_for(const struct replacement *r)
{
	const struct admin_status *status = &r->status.status;

	for (unsigned leg = 0; leg < status->leg_count; leg++) {
		if (r->fresh & 1ull << leg && !is_done(&status->legs[leg]))
			return &status->legs[leg];
	}
	return NULL;
}

static enum exit_code follow(struct replacement *r)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * (long)NS_PER_MS};
	const struct admin_leg *leg;
	struct err err;

	cli_hold_signals();
	for (;;) {
		/* First a pause: the gateway has to meet the new directory. */
		nanosleep(&pause, NULL);
		if (cli_was_interrupted())
			return cli_fail(r->cli, EXIT_INTERRUPTED, r->replica,
					"interrupted; it goes on by itself, 'lockstep status %s' shows how far it is",
					r->spec.name);
		if (volumes_status(r->cli, r->spec.name, &r->status, &err))
			return cli_fail(r->cli, exit_code_from_errno(err.code), r->spec.name,
					"%s; the new directory is there, the next attach goes on with it", err.text);
		status_sanitize(&r->status.status);
		leg = waited_for(r);
		if (!leg)
			return EXIT_DONE;
		if (r->cli->stderr_is_terminal || !r->told_ns || clock_now_ns() - r->told_ns >= LINE_MS * NS_PER_MS) {
			r->told_ns = clock_now_ns();
			tell_leg(r, leg);
		}
	}
}

static const char *next_step(const struct replacement *r)
{
	if (!r->is_attached)
		return "volume attach: a majority is enough, and it gives the new directory its vote";
	if (r->args->address)
		return "volume detach, volume attach: the gateway goes on with the old address until then";
	return "status: it shows how far the copying is";
}

static enum exit_code report(struct replacement *r, bool is_in_sync)
{
	unsigned count = (unsigned)__builtin_popcountll(r->fresh);

	if (r->cli->json)
		return cli_result(r->cli,
				  json_pack("{s:s, s:s, s:i, s:b, s:b}", "volume", r->spec.name, "replica", r->replica,
					    "replaced", (int)count, "attached", r->is_attached, "in_sync", is_in_sync));
	cli_progress_end(r->cli);
	if (is_in_sync)
		printf("%s of volume %s has a new directory and is whole again\n", r->replica, r->spec.name);
	else
		printf("%s of volume %s has a new directory, which has no vote and no data yet\nnext: lockstep %s\n",
		       r->replica, r->spec.name, next_step(r));
	return EXIT_DONE;
}

static enum exit_code replace(struct replacement *r)
{
	enum exit_code code = volumes_load(r->cli, r->cli->operands[0], r->path, &r->spec);
	bool waits;

	if (!code)
		code = find_legs(r);
	if (!code)
		code = ask_gateway(r);
	if (!code)
		code = make_locked(r);
	waits = r->is_attached && !r->args->no_wait && !r->args->address;
	if (!code && waits)
		code = follow(r);
	return code ? code : report(r, waits);
}

static enum exit_code run(struct cli *cli, void *data)
{
	const struct args *args = data;
	struct replacement *r = calloc(1, sizeof(*r));
	enum exit_code code;

	if (!r)
		return cli_fail(cli, EXIT_INTERNAL, cli->operands[0], "out of memory");
	r->cli = cli;
	r->args = args;
	r->replica = cli->operands[1];
	r->timeout_ms = (int)(args->timeout ? args->timeout : 5) * 1000;
	code = replace(r);
	free(r);
	return code;
}

const struct command command_replica_replace = {
	.group = "replica",
	.name = "replace",
	.operands = "VOLUME REPLICA",
	.operands_min = 2,
	.operands_max = 2,
	.summary = "start over with a replica or witness whose directory was lost",
	.detail =
		"Its server makes a new directory, which has no vote and no data: an attached gateway, with a majority "
		"of\n"
		"the other voters, gives it its vote, and copies everything to it. Refused while the old directory is\n"
		"there, and for the last replica in sync. The old directory is refused if it ever comes back.",
	.options = options,
	.args_bytes = sizeof(struct args),
	.run = run,
};
