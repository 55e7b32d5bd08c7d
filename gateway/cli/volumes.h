/* What the commands share about volumes: their files, their gateways' sockets, the servers they stand on, their JSON.
 */
#ifndef GATEWAY_CLI_VOLUMES_H
#define GATEWAY_CLI_VOLUMES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/client.h"
#include "gateway/core/volume.h"
#include "proto/admin.h"

#define NAME_LIST_MAX 4096u
#define ADMIN_TIMEOUT_MS 3000

struct name_list {
	char (*names)[VOLUME_NAME_MAX + 1]; /* sorted */
	unsigned count;
};

/* Directory of the volumes' files into `ret`, and the file of one volume. */
int volumes_dir(const struct cli *cli, char *ret, size_t cap, struct err *err) must_check;
/* The file `path` of the volume `name`: -EINVAL when it is another's. */
int volumes_read(const char *path, const char *name, struct volume_spec *ret, struct err *err) must_check;

/* EXIT_DONE and the spec, or the failure has been printed. `path` takes PATH_MAX characters. */
enum exit_code volumes_load(struct cli *cli, const char *name, char *path, struct volume_spec *ret);

/* Names of all volume files / of all gateways' sockets / of all event files. A directory that is missing gives none. */
int volumes_names(const struct cli *cli, struct name_list *ret, struct err *err) must_check;
int volumes_sockets(const struct cli *cli, struct name_list *ret, struct err *err) must_check;
int volumes_event_files(const struct cli *cli, struct name_list *ret, struct err *err) must_check;
void name_list_free(struct name_list *list);

/* Takes the lock that creating and deleting hold against each other; the descriptor, or -EBUSY, ... with `err`. */
int volumes_lock(const struct cli *cli, struct err *err) must_check;

/* Asks the gateway of volume `name`. 0 and a reply that is a status, or -ENOENT / -ECONNREFUSED (not attached), ... */
int volumes_status(const struct cli *cli, const char *name, struct admin_reply *ret, struct err *err) must_check;
/* No gateway serves it: no socket, or nobody behind it. */
bool volumes_is_not_attached(int error);

/* {"name", "uuid", "size_bytes", ..., "sets": [...]}. NULL when memory ran out. */
json_t *volumes_json(const struct volume_spec *spec, const char *path);

/* The distinct servers of a volume, each asked once. */
struct server {
	const char *address;   /* lent by the spec */
	struct client *client; /* NULL: not reachable, `err` says why */
	struct err err;
};

struct servers {
	unsigned count;
	struct server items[LEG_COUNT_MAX];
};

/* Connects to all. Returns how many failed; goes on after a failure unless `stop_early`. */
unsigned servers_open(struct cli *cli, const struct volume_spec *spec, int timeout_ms, bool stop_early,
		      struct servers *ret);
void servers_close(struct servers *servers);
struct server *servers_find(struct servers *servers, const char *address);

#endif
