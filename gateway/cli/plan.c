/* Plans a volume from command-line words. Knows the words and the layout; no server has been asked yet.
 * First step of `volume create`: everything refused here cost nothing. */
#include "gateway/cli/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/address.h"

struct server {
	char name[VOLUME_NAME_MAX + 1];
	char address[ADDRESS_CHARS_MAX + 1];
	bool is_used;
};

struct planner {
	const struct plan_request *request;
	struct err *err;
	unsigned server_count;
	struct server servers[LEG_COUNT_MAX];
	unsigned witness_count;
	struct server witnesses[OPTION_LIST_MAX];
	struct volume_spec *spec;
};

/* "a" .. "z", then "r27": what a server is called that was given no name. */
static void default_name(unsigned idx, char *ret, size_t cap)
{
	if (idx < 26)
		snprintf(ret, cap, "%c", 'a' + (int)idx);
	else
		snprintf(ret, cap, "r%u", idx + 1);
}

static int refuse_twin(struct planner *p, const char *option, const struct server *server)
{
	for (unsigned i = 0; i < p->server_count; i++) {
		const struct server *other = &p->servers[i];

		if (!strcmp(other->name, server->name))
			return err_set(p->err, -EINVAL, "%s: the name '%s' is given to %s and to %s; names must differ",
				       option, server->name, other->address, server->address);
		if (!strcmp(other->address, server->address))
			return err_set(p->err, -EINVAL, "%s: %s is given twice; each replica needs a server of its own",
				       option, server->address);
	}
	return 0;
}

/* "[NAME=]HOST[:PORT]". Without a name `ret` keeps the one it has. */
static int parse_server(struct planner *p, const char *option, const char *text, struct server *ret)
{
	const char *equals = strchr(text, '=');
	const char *host = equals ? equals + 1 : text;
	struct address address;
	int error;

	if (equals && (equals == text || equals - text > (int)VOLUME_NAME_MAX))
		return err_set(p->err, -EINVAL, "%s: '%.80s': the name before '=' must be 1 to %u characters", option,
			       text, VOLUME_NAME_MAX);
	if (equals)
		snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(equals - text), text);
	error = address_parse(host, PORT_DEFAULT, &address, p->err);
	if (error) {
		err_wrap(p->err, "%s", option);
		return error;
	}
	address_format(&address, ret->address);
	return 0;
}

/* -> p->servers; index or error. */
static int add_server(struct planner *p, const char *option, const char *text)
{
	struct server server = {.name = ""};
	int error;

	if (p->server_count == LEG_COUNT_MAX)
		return err_set(p->err, -EINVAL, "%s: more than %u servers", option, LEG_COUNT_MAX);
	default_name(p->server_count, server.name, sizeof(server.name));
	error = parse_server(p, option, text, &server);
	if (!error)
		error = refuse_twin(p, option, &server);
	if (error)
		return error;
	p->servers[p->server_count] = server;
	return (int)p->server_count++;
}

static int find_server(const struct planner *p, const char *name)
{
	for (unsigned i = 0; i < p->server_count; i++) {
		if (!strcmp(p->servers[i].name, name))
			return (int)i;
	}
	return -ENOENT;
}

/* -> p->witnesses: the name of a --replica, which votes in the sets that it has no part in, or a server of its own. */
static int add_witness(struct planner *p, const char *text)
{
	struct server server = {.name = "w"};
	int idx = find_server(p, text);

	if (p->witness_count)
		snprintf(server.name, sizeof(server.name), "w%u", p->witness_count + 1);
	if (idx >= 0)
		server = p->servers[idx];
	else if (parse_server(p, "--witness", text, &server))
		return p->err->code;
	for (unsigned i = 0; i < p->witness_count; i++) {
		if (!strcmp(p->witnesses[i].address, server.address))
			return err_set(p->err, -EINVAL, "--witness: %s is given twice; one server has one vote",
				       server.address);
	}
	server.is_used = false;
	p->witnesses[p->witness_count++] = server;
	return 0;
}

/* A word of --replicas-set: a name given before, or a server of its own. */
static int resolve_word(struct planner *p, const char *word)
{
	int idx = find_server(p, word);

	if (idx >= 0)
		return idx;
	if (strchr(word, ':') || strchr(word, '='))
		return add_server(p, "--replicas-set", word);
	return err_set(p->err, -EINVAL, "--replicas-set: '%.80s' is no name given with --replica, and no HOST:PORT",
		       word);
}

static void put_voter(struct set_spec *set, const struct server *server, enum voter_kind kind)
{
	struct replica_spec *voter = &set->replicas[set->replica_count++];

	voter->kind = kind;
	memcpy(voter->name, server->name, sizeof(voter->name));
	memcpy(voter->address, server->address, sizeof(voter->address));
}

static int put_replica(struct planner *p, struct set_spec *set, unsigned set_idx, unsigned server_idx)
{
	struct server *server = &p->servers[server_idx];

	for (unsigned i = 0; i < set->replica_count; i++) {
		if (!strcmp(set->replicas[i].address, server->address))
			return err_set(p->err, -EINVAL,
				       "set %u: %s (%s) is given twice; each replica needs a server of its own",
				       set_idx, server->name, server->address);
	}
	if (set->replica_count == SET_REPLICAS_MAX)
		return err_set(p->err, -EINVAL, "set %u: more than %u replicas", set_idx, SET_REPLICAS_MAX);
	server->is_used = true;
	put_voter(set, server, VOTER_REPLICA);
	return 0;
}

/* Beside a replica of the set it would be lost together with it, and its vote when it is needed: there it stays out. */
static int put_witness(struct planner *p, unsigned set_idx, struct server *server)
{
	struct set_spec *set = &p->spec->sets[set_idx];

	for (unsigned i = 0; i < set->replica_count; i++) {
		if (!strcmp(set->replicas[i].address, server->address))
			return 0;
		if (!strcmp(set->replicas[i].name, server->name))
			return err_set(p->err, -EINVAL,
				       "--witness: the name '%s' is given to %s and to %s; names must differ",
				       server->name, set->replicas[i].address, server->address);
	}
	if (set->replica_count == SET_VOTERS_MAX)
		return err_set(p->err, -EINVAL, "--witness: set %u would have more than %u voters", set_idx,
			       SET_VOTERS_MAX);
	put_voter(set, server, VOTER_WITNESS);
	server->is_used = true;
	return 0;
}

static int put_witnesses(struct planner *p)
{
	const struct text_list *texts = &p->request->witnesses;
	int error = 0;

	if (texts->count && p->request->no_witness)
		return err_set(p->err, -EINVAL, "--no-witness: contradicts --witness; leave one out");
	for (unsigned i = 0; !error && i < texts->count; i++)
		error = add_witness(p, texts->items[i]);
	for (unsigned i = 0; i < p->witness_count; i++) {
		struct server *server = &p->witnesses[i];

		for (unsigned s = 0; !error && s < p->spec->set_count; s++)
			error = put_witness(p, s, server);
		if (!error && !server->is_used)
			return err_set(
				p->err, -EINVAL,
				"--witness: %s keeps a replica of every set; a witness needs a server of its own",
				server->address);
	}
	return error;
}

/* Two voters: neither is a majority without the other. */
static int refuse_pairs(struct planner *p)
{
	for (unsigned i = 0; i < p->spec->set_count && !p->request->no_witness; i++) {
		if (p->spec->sets[i].replica_count == 2 && p->spec->sets[i].replicas[1].kind == VOTER_REPLICA)
			return err_set(p->err, -EINVAL,
				       "--witness: is missing: set %u has two replicas, and after losing one of them "
				       "there is no majority to go on with, so all I/O would wait for it; name a third "
				       "server, which stores no data and only votes: --witness HOST:PORT; or say "
				       "--no-witness",
				       i);
	}
	return 0;
}

/* "X,Y,..." -> one set. `words` is cut up. */
static int fill_set(struct planner *p, unsigned set_idx, char *words)
{
	char *rest = words, *word;
	int error = 0;

	while (!error && (word = strsep(&rest, ","))) {
		int server = *word ? resolve_word(p, word)
				   : err_set(p->err, -EINVAL, "--replicas-set: an empty word between commas");

		error = server < 0 ? server : put_replica(p, &p->spec->sets[set_idx], set_idx, (unsigned)server);
	}
	return error;
}

static int sets_as_listed(struct planner *p)
{
	const struct text_list *lists = &p->request->replica_sets;

	if (lists->count > SET_COUNT_MAX)
		return err_set(p->err, -EINVAL, "--replicas-set: at most %u sets", SET_COUNT_MAX);
	if (p->request->set_count && p->request->set_count != lists->count)
		return err_set(p->err, -EINVAL, "--sets %u: does not agree with %u times --replicas-set; leave one out",
			       (unsigned)p->request->set_count, lists->count);
	p->spec->set_count = lists->count;
	for (unsigned i = 0; i < lists->count; i++) {
		char *words = strdup(lists->items[i]);
		int error = words ? fill_set(p, i, words) : err_set(p->err, -ENOMEM, "out of memory");

		free(words);
		if (error)
			return error;
	}
	for (unsigned i = 0; i < p->server_count; i++) {
		if (!p->servers[i].is_used)
			return err_set(p->err, -EINVAL, "--replica: %s (%s) stands in no --replicas-set",
				       p->servers[i].name, p->servers[i].address);
	}
	return 0;
}

static int sets_over_all(struct planner *p)
{
	unsigned count = p->request->set_count ? (unsigned)p->request->set_count : 1;

	if (!p->server_count)
		return err_set(p->err, -EINVAL, "--replica: is missing; name the servers, e.g. --replica a=host1:7420");
	p->spec->set_count = count;
	for (unsigned i = 0; i < count; i++) {
		for (unsigned s = 0; s < p->server_count; s++) {
			int error = put_replica(p, &p->spec->sets[i], i, s);

			if (error)
				return error;
		}
	}
	return 0;
}

static int plan_sets(struct planner *p)
{
	const struct text_list *replicas = &p->request->replicas;

	if (p->request->set_count > SET_COUNT_MAX)
		return err_set(p->err, -EINVAL, "--sets: at most %u", SET_COUNT_MAX);
	for (unsigned i = 0; i < replicas->count; i++) {
		int idx = add_server(p, "--replica", replicas->items[i]);

		if (idx < 0)
			return idx;
	}
	return p->request->replica_sets.count ? sets_as_listed(p) : sets_over_all(p);
}

/* "KEY=VALUE" -> the policy. */
static int take_policy_word(struct planner *p, const char *text)
{
	const char *equals = strchr(text, '=');
	struct err reason;

	for (unsigned i = 0; equals && i < POLICY_KEY_COUNT; i++) {
		const char *key = policy_key(i);

		if (strlen(key) != (size_t)(equals - text) || strncmp(key, text, strlen(key)) != 0)
			continue;
		if (policy_take(&p->spec->policy, i, equals + 1, &reason))
			return err_set(p->err, -EINVAL, "--policy: %s: %s", key, reason.text);
		return 0;
	}
	return err_set(p->err, -EINVAL, "--policy: '%.80s' is not KEY=VALUE with a key of lockstep-volume(5)", text);
}

static int take_policy(struct planner *p)
{
	int error = 0;

	for (unsigned i = 0; !error && i < p->request->policy.count; i++)
		error = take_policy_word(p, p->request->policy.items[i]);
	return error;
}

static void give_identities(struct volume_spec *spec, plan_uuid_fn next_uuid, void *ctx)
{
	spec->uuid = next_uuid(ctx);
	for (unsigned i = 0; i < spec->set_count; i++) {
		spec->sets[i].uuid = next_uuid(ctx);
		for (unsigned r = 0; r < spec->sets[i].replica_count; r++)
			spec->sets[i].replicas[r].uuid = next_uuid(ctx);
	}
}

int plan_volume(const struct plan_request *request, plan_uuid_fn next_uuid, void *ctx, struct volume_spec *ret,
		struct err *err)
{
	struct planner p = {.request = request, .err = err, .spec = ret};
	int error;

	memset(ret, 0, sizeof(*ret));
	if (strlen(request->name) > VOLUME_NAME_MAX || !request->name[0] || strchr(request->name, '/'))
		return err_set(
			err, -EINVAL,
			"volume name '%.80s': must be 1 to %u letters, digits, '-', '_', '.', a letter or digit first",
			request->name, VOLUME_NAME_MAX);
	if (request->block_bytes != BLOCK_BYTES_MIN && request->block_bytes != BLOCK_BYTES_MAX)
		return err_set(err, -EINVAL, "--block-size: must be 512 or 4096, not %u",
			       (unsigned)request->block_bytes);
	snprintf(ret->name, sizeof(ret->name), "%s", request->name);
	ret->size_bytes = request->size_bytes;
	ret->block_bytes = (uint32_t)request->block_bytes;
	ret->chunk_bytes = (uint32_t)request->chunk_bytes;
	error = plan_sets(&p);
	if (!error)
		error = put_witnesses(&p);
	if (!error)
		error = refuse_pairs(&p);
	if (!error)
		error = take_policy(&p);
	if (error)
		return error;
	give_identities(ret, next_uuid, ctx);
	return volume_spec_check(ret, err);
}

static void give_voter(const struct replica_spec *replica, struct voter *ret)
{
	ret->uuid = replica->uuid;
	ret->kind = replica->kind;
	memcpy(ret->address, replica->address, sizeof(ret->address));
	ret->state = VOTER_OUT;
	if (replica->kind == VOTER_WITNESS)
		return;
	ret->state = VOTER_IN;
	ret->compare = COMPARE_STAMPS;
	ret->in_sync_gen = 1;
}

void plan_config(const struct volume_spec *spec, unsigned set, struct config *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->volume_uuid = spec->uuid;
	ret->set_uuid = spec->sets[set].uuid;
	ret->set_index = set;
	ret->set_count = spec->set_count;
	ret->block_bytes = spec->block_bytes;
	ret->chunk_bytes = spec->chunk_bytes;
	ret->set_bytes = volume_set_bytes(spec, set);
	ret->volume_bytes = spec->size_bytes;
	ret->gen = 1;
	ret->voter_count = spec->sets[set].replica_count;
	for (unsigned i = 0; i < ret->voter_count; i++)
		give_voter(&spec->sets[set].replicas[i], &ret->voters[i]);
}

const char *plan_advice(const struct volume_spec *spec)
{
	unsigned data = SET_REPLICAS_MAX, voters = SET_VOTERS_MAX;

	for (unsigned i = 0; i < spec->set_count; i++) {
		const struct set_spec *set = &spec->sets[i];

		data = volume_set_data_count(set) < data ? volume_set_data_count(set) : data;
		voters = set->replica_count < voters ? set->replica_count : voters;
	}
	if (data == 1)
		return voters == 2 ? "a set has one replica and one witness: nothing is mirrored there, and losing "
				     "either server stops it"
				   : "a set has one replica only: nothing is mirrored there, and losing that server "
				     "loses the data";
	if (voters == 2)
		return "a set has two replicas and no witness: after losing one there is no majority, so I/O will wait "
		       "for it";
	return NULL;
}
