/* Volume files, sockets and servers as commands see them. Knows no command line.
 * Everything here blocks with a bound; none of it is on a request's path. */
#include "gateway/cli/volumes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/file_io.h"
#include "gateway/drivers/volume_file.h"
#include "proto/admin_client.h"

#define DEVICE_DIGITS_MAX 10u

int volumes_dir(const struct cli *cli, char *ret, size_t cap, struct err *err)
{
	int error = volume_file_path(cli->config_dir, "x", ret, cap, err);

	if (!error)
		*strrchr(ret, '/') = '\0';
	return error;
}

int volumes_read(const char *path, const char *name, struct volume_spec *ret, struct err *err)
{
	int error = volume_file_load(path, ret, err);

	if (!error && strcmp(ret->name, name) != 0)
		return err_set(err, -EINVAL, "%s: says 'name: %s'; rename the file or correct the name", path,
			       ret->name);
	return error;
}

enum exit_code volumes_load(struct cli *cli, const char *name, char *path, struct volume_spec *ret)
{
	struct err err;
	int error;

	error = volume_file_path(cli->config_dir, name, path, PATH_MAX, &err);
	if (error)
		return cli_fail_err(cli, EXIT_USAGE, name, &err);
	error = volumes_read(path, name, ret, &err);
	if (error == -ENOENT)
		return cli_fail(cli, EXIT_NOT_FOUND, name,
				"no such volume: there is no file %s; 'lockstep volume list' shows what there is",
				path);
	return error ? cli_fail_err(cli, exit_code_from_errno(error), name, &err) : EXIT_DONE;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* "NAME.SUFFIX" -> NAME; a dot file or another suffix is none of ours. */
static bool name_of(const char *file, const char *suffix, char *ret)
{
	size_t len = strlen(file), tail = strlen(suffix);

	if (file[0] == '.' || len <= tail || len - tail > VOLUME_NAME_MAX || strcmp(file + len - tail, suffix) != 0)
		return false;
	memcpy(ret, file, len - tail);
	ret[len - tail] = '\0';
	return true;
}

static int read_names(const char *dir, const char *suffix, struct name_list *ret, struct err *err)
{
	const struct dirent *entry;
	DIR *stream;

	memset(ret, 0, sizeof(*ret));
	stream = opendir(dir);
	if (!stream && errno == ENOENT)
		return 0;
	if (!stream)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	ret->names = calloc(NAME_LIST_MAX, sizeof(*ret->names));
	if (!ret->names) {
		closedir(stream);
		return err_set(err, -ENOMEM, "%s: out of memory", dir);
	}
	while (ret->count < NAME_LIST_MAX && (entry = readdir(stream))) {
		if (name_of(entry->d_name, suffix, ret->names[ret->count]))
			ret->count++;
	}
	closedir(stream);
	qsort(ret->names, ret->count, sizeof(*ret->names), compare_names);
	return 0;
}

int volumes_names(const struct cli *cli, struct name_list *ret, struct err *err)
{
	char dir[PATH_MAX];
	int error = volumes_dir(cli, dir, sizeof(dir), err);

	return error ? error : read_names(dir, ".yaml", ret, err);
}

int volumes_sockets(const struct cli *cli, struct name_list *ret, struct err *err)
{
	return read_names(cli->run_dir, ".sock", ret, err);
}

int volumes_event_files(const struct cli *cli, struct name_list *ret, struct err *err)
{
	return read_names(cli->run_dir, ".events", ret, err);
}

void name_list_free(struct name_list *list)
{
	free(list->names);
	list->names = NULL;
}

int volumes_lock(const struct cli *cli, struct err *err)
{
	char dir[PATH_MAX];
	int error, fd;

	error = volumes_dir(cli, dir, sizeof(dir), err);
	if (!error)
		error = directory_make(dir, 0755, err);
	if (error)
		return error;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "%s: %s", dir, strerror(errno));
	if (access(dir, W_OK) < 0) {
		error = err_set(err, -errno,
				"%s: cannot be written: %s; run it as root, or choose another --config-dir", dir,
				strerror(errno));
		close(fd);
		return error;
	}
	if (!flock(fd, LOCK_EX | LOCK_NB))
		return fd;
	error = err_set(err, -EBUSY, "%s: another 'lockstep volume create' or 'delete' is at work; try again", dir);
	close(fd);
	return error;
}

/* The number of the device that the volume's last gateway had, as lockstep-gateway(8) records it. */
static bool left_device(const struct cli *cli, const char *name, char ret[DEVICE_DIGITS_MAX + 1])
{
	char path[PATH_MAX], *text;
	size_t len, digits;
	struct err err;

	if (cli_run_path(cli, name, "device", path, sizeof(path), &err) ||
	    file_read_all(path, DEVICE_DIGITS_MAX + 1, &text, &len, &err))
		return false;
	digits = strspn(text, "0123456789");
	snprintf(ret, DEVICE_DIGITS_MAX + 1, "%.*s", (int)digits, text);
	free(text);
	return digits > 0 && digits <= DEVICE_DIGITS_MAX;
}

/* A killed gateway leaves its socket, and its ublk device. */
static int explain_dead(const struct cli *cli, const char *name, const char *socket, struct err *err)
{
	char device[DEVICE_DIGITS_MAX + 1];

	if (left_device(cli, name, device))
		return err_set(
			err, -ECONNREFUSED,
			"its gateway is dead: nobody listens on %s; 'lockstep volume attach %s' takes its device "
			"and what waits in it over, 'lockstep-gateway --delete-device %s' fails and removes them",
			socket, name, device);
	return err_set(err, -ECONNREFUSED,
		       "its gateway is dead: nobody listens on %s; 'lockstep volume attach %s' brings it back", socket,
		       name);
}

int volumes_status(const struct cli *cli, const char *name, struct admin_reply *ret, struct err *err)
{
	const struct admin_request request = {.kind = ADMIN_STATUS};
	char path[PATH_MAX];
	int error = cli_run_path(cli, name, "sock", path, sizeof(path), err);

	if (!error)
		error = admin_client_call(path, &request, ADMIN_TIMEOUT_MS, ret, err);
	if (error == -ECONNREFUSED)
		return explain_dead(cli, name, path, err);
	if (error)
		return error;
	if (ret->kind == ADMIN_REFUSED)
		return err_set(err, ret->error < 0 ? ret->error : -EREMOTEIO, "%s: %s", name, ret->text);
	if (ret->kind != ADMIN_STATUS_REPLY)
		return err_set(err, -EPROTO, "%s: the gateway answered something else than its status", name);
	return 0;
}

bool volumes_is_not_attached(int error)
{
	return error == -ENOENT || error == -ECONNREFUSED;
}

static json_t *uuid_json(const struct uuid *uuid)
{
	char text[UUID_CHARS + 1];

	uuid_format(uuid, text);
	return json_string(text);
}

static json_t *voters_json(const struct set_spec *set, enum voter_kind kind)
{
	json_t *voters = json_array();

	for (unsigned i = 0; i < set->replica_count; i++) {
		const struct replica_spec *voter = &set->replicas[i];

		if (voter->kind == kind)
			json_array_append_new(voters, json_pack("{s:s, s:o, s:s}", "name", voter->name, "uuid",
								uuid_json(&voter->uuid), "address", voter->address));
	}
	return voters;
}

static json_t *set_json(const struct volume_spec *spec, unsigned idx)
{
	const struct set_spec *set = &spec->sets[idx];

	return json_pack("{s:i, s:o, s:I, s:o, s:o}", "index", (int)idx, "uuid", uuid_json(&set->uuid), "size_bytes",
			 (json_int_t)volume_set_bytes(spec, idx), "replicas", voters_json(set, VOTER_REPLICA),
			 "witnesses", voters_json(set, VOTER_WITNESS));
}

/* A fraction only where there is one. */
static json_t *seconds_json(uint32_t ms)
{
	return ms % 1000 ? json_real(ms / 1000.) : json_integer(ms / 1000);
}

/* What holds, defaults included. */
static json_t *policy_json(const struct volume_spec *spec)
{
	struct volume_policy policy = spec->policy;

	policy_fill(&policy);
	return json_pack("{s:s, s:i, s:i, s:o, s:I, s:o, s:i, s:i}", "on_no_quorum",
			 policy.on_no_quorum == NO_QUORUM_ERROR ? "error" : "suspend", "quorum_deadline_s",
			 (int)policy.quorum_deadline, "min_in_sync", (int)policy.min_in_sync, "answer_deadline_s",
			 seconds_json(policy.answer_deadline_ms), "resync_rate_bytes", (json_int_t)policy.resync_rate,
			 "slow_factor",
			 policy.slow_factor == POLICY_NEVER ? json_null() : json_integer(policy.slow_factor),
			 "slow_time_s", (int)policy.slow_time, "slow_rest_s", (int)policy.slow_rest);
}

json_t *volumes_json(const struct volume_spec *spec, const char *path)
{
	json_t *sets = json_array();

	for (unsigned i = 0; i < spec->set_count; i++)
		json_array_append_new(sets, set_json(spec, i));
	return json_pack("{s:s, s:o, s:I, s:i, s:i, s:o, s:o, s:o}", "name", spec->name, "uuid", uuid_json(&spec->uuid),
			 "size_bytes", (json_int_t)spec->size_bytes, "block_bytes", (int)spec->block_bytes,
			 "chunk_bytes", (int)spec->chunk_bytes, "file", cli_json_text(path), "policy",
			 policy_json(spec), "sets", sets);
}

struct server *servers_find(struct servers *servers, const char *address)
{
	for (unsigned i = 0; i < servers->count; i++) {
		if (!strcmp(servers->items[i].address, address))
			return &servers->items[i];
	}
	return NULL;
}

unsigned servers_open(struct cli *cli, const struct volume_spec *spec, int timeout_ms, bool stop_early,
		      struct servers *ret)
{
	unsigned failed = 0;

	memset(ret, 0, sizeof(*ret));
	for (unsigned leg = 0; leg < volume_leg_count(spec) && !(stop_early && failed); leg++) {
		const struct replica_spec *replica = volume_leg_replica(spec, leg, NULL);
		struct server *server = &ret->items[ret->count];

		if (servers_find(ret, replica->address))
			continue;
		server->address = replica->address;
		ret->count++;
		cli_progress(cli, "asking %s (%s)", replica->name, replica->address);
		if (client_open(replica->address, timeout_ms, &server->client, &server->err))
			failed++;
	}
	return failed;
}

void servers_close(struct servers *servers)
{
	for (unsigned i = 0; i < servers->count; i++)
		client_close(servers->items[i].client);
	servers->count = 0;
}
