/* The server's replicas by uuid. Must not know connections. Never on a request's path: start, CREATE, LIST, DELETE. */
#include "replica-server/drivers/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "replica-server/drivers/dir_lock.h"

static uint64_t now_s(void)
{
	return (uint64_t)time(NULL);
}

static int open_root(const char *path, int *ret_fd, struct err *err)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), error;

	if (fd < 0 && errno == ENOENT)
		return err_set(err, -ENOENT, "data directory %s: does not exist; create it or correct --data", path);
	if (fd < 0)
		return err_set(err, -errno, "data directory %s: %s; correct --data or its permissions", path,
			       strerror(errno));
	error = faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) ? -errno : 0;
	if (error)
		err_set(err, error, "data directory %s: not writable (%s); correct its owner or permissions", path,
			strerror(-error));
	else
		error = dir_lock(fd, path, err);
	if (error)
		(void)close(fd);
	else
		*ret_fd = fd;
	return error;
}

static struct hosted *hosted_new(struct server *server, unsigned root_idx, const char *name)
{
	struct hosted *hosted = calloc(1, sizeof(*hosted));

	if (!hosted)
		return NULL;
	(void)snprintf(hosted->name, sizeof(hosted->name), "%s", name);
	hosted->root_idx = root_idx;
	list_init(&hosted->thread_node);
	replica_dir_closed(&hosted->dir);
	(void)pthread_mutex_init(&hosted->lock, NULL);
	list_init(&hosted->node);
	list_add_tail(&server->replicas, &hosted->node);
	server->replica_count++;
	return hosted;
}

static void hosted_free(struct server *server, struct hosted *hosted)
{
	list_del(&hosted->node);
	server->replica_count--;
	replica_dir_close(&hosted->dir);
	(void)pthread_mutex_destroy(&hosted->lock);
	free(hosted);
}

/* As much as the superblock told before the trouble, or at least what the name tells. */
static void fill_info(struct hosted *hosted, const struct err *err)
{
	const struct superblock *sb = &hosted->dir.sb;

	if (sb->sequence == 0) {
		(void)replica_dir_name_parse(hosted->name, &hosted->info);
		hosted->identity.replica_uuid = hosted->info.replica_uuid;
		(void)snprintf(hosted->info.health, sizeof(hosted->info.health), "%.*s",
			       (int)sizeof(hosted->info.health) - 1, err->text);
		return;
	}
	replica_identity_of(sb, &hosted->identity);
	hosted->info = (struct replica_info){
		.volume_uuid = sb->config.volume_uuid,
		.set_uuid = sb->config.set_uuid,
		.replica_uuid = sb->replica_uuid,
		.set_index = sb->config.set_index,
		.gen = sb->config.gen,
		.epoch = sb->promised.epoch,
		.set_bytes = sb->config.set_bytes,
		.is_witness = superblock_is_witness(sb),
		.is_blank = superblock_is_blank(sb),
		.health = "ok",
	};
	memcpy(hosted->info.volume_name, sb->volume_name, sizeof(hosted->info.volume_name));
	if (err->code)
		(void)snprintf(hosted->info.health, sizeof(hosted->info.health), "%.*s",
			       (int)sizeof(hosted->info.health) - 1, err->text);
}

static void log_opened(const struct hosted *hosted)
{
	const struct replica_dir *dir = &hosted->dir;

	if (hosted->identity.is_witness)
		log_info("event=witness replica=%s epoch=%u gen=%u", hosted->name, hosted->info.epoch,
			 hosted->info.gen);
	else if (dir->direct_bytes)
		log_info("event=replica replica=%s io=direct epoch=%u gen=%u", hosted->name, hosted->info.epoch,
			 hosted->info.gen);
	else
		log_info("event=replica replica=%s io=buffered reason=\"%s\" epoch=%u gen=%u", hosted->name,
			 dir->io_reason, hosted->info.epoch, hosted->info.gen);
}

/* Opens the directory; what is wrong with it becomes its health. */
static struct hosted *host(struct server *server, unsigned root_idx, const char *name, struct err *err)
{
	struct hosted *hosted = hosted_new(server, root_idx, name);

	if (!hosted) {
		err_set(err, -ENOMEM, "replica %s: no memory", name);
		return NULL;
	}
	if (!replica_dir_open(server->root_fds[root_idx], name, server->opts->direct, &server->identity.boot_id,
			      now_s(), &hosted->dir, err)) {
		const struct hosted *twin = registry_find(server, &hosted->dir.sb.replica_uuid);

		if (twin && twin->is_served) {
			err_set(err, -EEXIST,
				"another directory of this server holds the same replica; remove the copy");
			replica_dir_close(&hosted->dir);
		}
	}
	fill_info(hosted, err);
	hosted->is_served = err->code == 0;
	if (!hosted->is_served) {
		log_error("event=not_served replica=%s reason=\"%s\"", name, err->text);
		return hosted;
	}
	hosted->thread_idx = server_thread_of(server, &hosted->identity.volume_uuid);
	log_opened(hosted);
	return hosted;
}

static bool starts_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

/* One entry of a data directory: a replica, something to sweep, or a reason to refuse the directory. */
static int look_at(struct server *server, unsigned root_idx, const char *name, struct err *err)
{
	const char *root = server->opts->roots[root_idx];
	struct replica_info info;
	struct err own = {0};

	if (!strcmp(name, ".") || !strcmp(name, "..") || !strcmp(name, "lost+found"))
		return 0;
	if (starts_with(name, REPLICA_DIR_NEW_PREFIX) || starts_with(name, REPLICA_DIR_OLD_PREFIX)) {
		if (replica_dir_sweep(server->root_fds[root_idx], name, &own))
			log_warn("event=not_swept root=%s reason=\"%s\"", root, own.text);
		return 0;
	}
	if (!replica_dir_name_parse(name, &info))
		return err_set(
			err, -ENOTEMPTY,
			"data directory %s: holds '%s', which is not a replica; give an empty directory or one that "
			"this program made",
			root, name);
	if (server->replica_count == HOSTED_MAX)
		return err_set(err, -ENFILE, "data directory %s: more than %u replicas; use another server", root,
			       HOSTED_MAX);
	return host(server, root_idx, name, &own) ? 0 : err_set(err, own.code, "%s", own.text);
}

static int scan_root(struct server *server, unsigned root_idx, struct err *err)
{
	int fd = openat(server->root_fds[root_idx], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		error = err_set(err, -errno, "data directory %s: %s", server->opts->roots[root_idx], strerror(errno));
		if (fd >= 0)
			(void)close(fd);
		return error;
	}
	while (!error && (entry = readdir(dir)))
		error = look_at(server, root_idx, entry->d_name, err);
	(void)closedir(dir);
	return error;
}

int registry_open(struct server *server, struct err *err)
{
	for (unsigned i = 0; i < server->opts->root_count; i++) {
		int error = open_root(server->opts->roots[i], &server->root_fds[i], err);

		if (!error) {
			server->root_count++;
			error = scan_root(server, i, err);
		}
		if (error)
			return error;
	}
	return 0;
}

void registry_close(struct server *server)
{
	struct list *it, *next;

	list_for_each (it, next, &server->replicas)
		hosted_free(server, container_of(it, struct hosted, node));
	for (unsigned i = 0; i < server->root_count; i++)
		(void)close(server->root_fds[i]);
	server->root_count = 0;
}

/* One whose superblock cannot be read is known by the start of its uuid, from its directory's name. */
static bool is_it(const struct hosted *hosted, const struct uuid *replica_uuid)
{
	if (hosted->dir.sb.sequence == 0)
		return !memcmp(hosted->identity.replica_uuid.bytes, replica_uuid->bytes, 4);
	return uuid_equal(&hosted->identity.replica_uuid, replica_uuid);
}

struct hosted *registry_find(const struct server *server, const struct uuid *replica_uuid)
{
	struct hosted *found = NULL;
	struct list *it, *next;

	list_for_each (it, next, &server->replicas) {
		struct hosted *hosted = container_of(it, struct hosted, node);

		if (is_it(hosted, replica_uuid) && (!found || hosted->is_served))
			found = hosted;
	}
	return found;
}

static bool name_is_sane(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return name[0] && name[0] != '.' && name[0] != '-' && name[0] != '_' && strlen(name) <= VOLUME_NAME_MAX &&
	       strspn(name, allowed) == strlen(name);
}

/* What the codec cannot know. NULL: fine. */
static const char *create_misfit(const struct message_create *create)
{
	const struct config *config = &create->config;
	const struct voter *voter = config_voter(config, &create->replica_uuid);

	if (!name_is_sane(create->volume_name))
		return "the volume's name may hold letters, digits, '-', '_' and '.', and starts with a letter or "
		       "digit";
	if (!voter)
		return "the replica is not one of the config's voters; correct the volume's file";
	if (config->ballot.epoch != 0 || config->gen != 1)
		return "a new replica starts with epoch 0 and gen 1; the sender is faulty";
	return NULL;
}

static unsigned pick_root(const struct server *server)
{
	unsigned counts[DATA_ROOTS_MAX] = {0}, best = 0;
	struct list *it, *next;

	list_for_each (it, next, &server->replicas)
		counts[container_of(it, struct hosted, node)->root_idx]++;
	for (unsigned i = 1; i < server->root_count; i++)
		best = counts[i] < counts[best] ? i : best;
	return best;
}

static enum refusal refusal_of(int error)
{
	if (error == -EEXIST)
		return REFUSAL_EXISTS;
	return error == -ENOSPC ? REFUSAL_NO_SPACE : REFUSAL_STORE;
}

/* Letters are taken in order: whoever connects after this finds the replica. */
static int hand_to_thread(struct server *server, struct hosted *hosted)
{
	struct letter letter = {.kind = DATA_ADD, .fd = -1, .data = hosted};

	return mailbox_post(server->threads[hosted->thread_idx]->mailbox, &letter);
}

/* Asked again, perhaps because the answer was lost. */
static bool is_this_blank(struct hosted *hosted, const struct message_create *create)
{
	bool is_blank;

	(void)pthread_mutex_lock(&hosted->lock);
	is_blank = hosted->info.is_blank;
	(void)pthread_mutex_unlock(&hosted->lock);
	return hosted->is_served && is_blank && uuid_equal(&hosted->identity.replica_uuid, &create->replica_uuid) &&
	       uuid_equal(&hosted->identity.volume_uuid, &create->config.volume_uuid);
}

static enum refusal refuse_present(const struct server *server, const struct hosted *hosted, const char *name,
				   bool is_blank, struct err *err)
{
	if (is_blank)
		err_set(err, -EEXIST,
			"replica %s: its directory is still there (%s/%s); move it away or remove it, and start the "
			"server again",
			name, server->opts->roots[hosted->root_idx], hosted->name);
	else
		err_set(err, -EEXIST, "replica %s: exists already on this server; delete it first", name);
	return REFUSAL_EXISTS;
}

enum refusal registry_create(struct server *server, const struct message_create *create, bool is_blank, struct err *err)
{
	const char *misfit = create_misfit(create);
	char name[REPLICA_DIR_NAME_MAX + 1];
	unsigned root_idx = pick_root(server);
	struct hosted *hosted = registry_find(server, &create->replica_uuid);
	int error;

	if (misfit) {
		err_set(err, -EINVAL, "volume %s: %s", create->volume_name, misfit);
		return REFUSAL_BAD_CONFIG;
	}
	replica_dir_name(create->volume_name, create->config.set_index, &create->replica_uuid, name);
	if (hosted && is_blank && is_this_blank(hosted, create))
		return REFUSAL_NONE;
	if (hosted)
		return refuse_present(server, hosted, name, is_blank, err);
	if (server->replica_count == HOSTED_MAX) {
		err_set(err, -ENFILE, "replica %s: this server has %u replicas, its limit; use another one", name,
			HOSTED_MAX);
		return REFUSAL_LIMIT;
	}
	error = replica_dir_create(server->root_fds[root_idx], create, is_blank, now_s(), err);
	if (error)
		return refusal_of(error);
	hosted = host(server, root_idx, name, err);
	if (!hosted || !hosted->is_served || hand_to_thread(server, hosted)) {
		if (hosted)
			hosted_free(server, hosted);
		/* The first trouble is the one to report. */
		if (replica_dir_remove(server->root_fds[root_idx], name, NULL))
			log_warn("event=not_removed replica=%s", name);
		if (!err->code)
			err_set(err, -EBUSY, "replica %s: the server is overloaded; try again", name);
		return REFUSAL_STORE;
	}
	return REFUSAL_NONE;
}

int registry_remove(struct server *server, struct hosted *hosted, struct err *err)
{
	char name[REPLICA_DIR_NAME_MAX + 1];
	unsigned root_idx = hosted->root_idx;

	(void)snprintf(name, sizeof(name), "%s", hosted->name);
	hosted_free(server, hosted);
	return replica_dir_remove(server->root_fds[root_idx], name, err);
}

static int compare_infos(const void *a, const void *b)
{
	const struct hosted *const *left = a, *const *right = b;

	return memcmp((*left)->identity.replica_uuid.bytes, (*right)->identity.replica_uuid.bytes, 16);
}

static void copy_info(struct hosted *hosted, struct replica_info *ret)
{
	struct stat st;

	(void)pthread_mutex_lock(&hosted->lock);
	*ret = hosted->info;
	(void)pthread_mutex_unlock(&hosted->lock);
	if (hosted->dir.data_fd >= 0 && fstat(hosted->dir.data_fd, &st) == 0)
		ret->allocated_bytes = (uint64_t)st.st_blocks * 512;
}

void registry_list(const struct server *server, const struct uuid *after, struct message_listing *ret)
{
	struct hosted *sorted[HOSTED_MAX] = {NULL};
	struct list *it, *next;
	unsigned count = 0;

	list_for_each (it, next, &server->replicas) {
		struct hosted *hosted = container_of(it, struct hosted, node);

		if (uuid_is_nil(after) || memcmp(hosted->identity.replica_uuid.bytes, after->bytes, 16) > 0)
			sorted[count++] = hosted;
	}
	qsort(sorted, count, sizeof(struct hosted *), compare_infos);
	ret->count = count < MESSAGE_LIST_MAX ? count : MESSAGE_LIST_MAX;
	ret->more = count > MESSAGE_LIST_MAX;
	for (unsigned i = 0; i < ret->count; i++)
		copy_info(sorted[i], &ret->replicas[i]);
}
