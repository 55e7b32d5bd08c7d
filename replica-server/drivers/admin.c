/* CREATE, LIST, DELETE, REPLACE for administrators. Must not know sockets: answers through intake.h. Never on a
 * request's path.
 */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "replica-server/drivers/intake.h"
#include "replica-server/drivers/registry.h"

static void create(struct intake *intake, const struct message_create *request, bool is_blank)
{
	struct message answer = {.kind = is_blank ? MESSAGE_REPLACED : MESSAGE_CREATED};
	struct err err = {0};
	enum refusal refusal = registry_create(intake->server, request, is_blank, &err);

	if (refusal) {
		intake_refuse(intake, refusal, false, "%s", err.text);
		return;
	}
	log_info("event=%s volume=%s set=%u peer=%s", is_blank ? "created_blank" : "created", request->volume_name,
		 request->config.set_index, intake->peer);
	intake_send(intake, &answer, false);
}

static void list_replicas(struct intake *intake, const struct message_list *request)
{
	struct message *answer = calloc(1, sizeof(*answer));

	if (!answer) {
		intake_refuse(intake, REFUSAL_LIMIT, true, "server %s: no memory", intake->server->name);
		return;
	}
	answer->kind = MESSAGE_LISTING;
	registry_list(intake->server, &request->after, &answer->listing);
	intake_send(intake, answer, false);
	free(answer);
}

static void delete (struct intake *intake, const struct message_delete *request)
{
	struct hosted *hosted = registry_find(intake->server, &request->replica_uuid);
	struct letter letter = {.kind = DATA_REMOVE, .fd = -1, .data = hosted};
	char text[UUID_CHARS + 1];

	uuid_format(&request->replica_uuid, text);
	if (!hosted) {
		intake_refuse(intake, REFUSAL_UNKNOWN_REPLICA, false,
			      "replica %s: not on this server (%s); see `replica list`", text, intake->server->name);
	} else if (!hosted->is_served) {
		intake_refuse(intake, REFUSAL_STORE, false, "replica %s: not served (%s); remove its directory by hand",
			      hosted->name, hosted->info.health);
	} else if (!uuid_equal(&hosted->identity.volume_uuid, &request->volume_uuid)) {
		intake_refuse(intake, REFUSAL_WRONG_VOLUME, false,
			      "replica %s: belongs to another volume; correct the request", hosted->name);
	} else if (hosted->delete_asked ||
		   mailbox_post(intake->server->threads[hosted->thread_idx]->mailbox, &letter)) {
		intake_refuse(intake, REFUSAL_IN_USE, false,
			      "replica %s: is being deleted already, or the server is "
			      "overloaded; look again later",
			      hosted->name);
	} else {
		hosted->delete_asked = true;
		intake->deleting = request->replica_uuid;
		intake->state = INTAKE_BUSY;
	}
}

void admin_request(struct intake *intake, const struct message *message)
{
	switch (message->kind) {
	case MESSAGE_CREATE:
		create(intake, &message->create, false);
		break;
	case MESSAGE_REPLACE:
		create(intake, &message->create, true);
		break;
	case MESSAGE_LIST:
		list_replicas(intake, &message->list);
		break;
	case MESSAGE_DELETE:
		delete (intake, &message->delete);
		break;
	default:
		intake_refuse(intake, REFUSAL_ORDER, true,
			      "connection from %s: %s is not for administrators; the peer is faulty", intake->peer,
			      message_kind_name(message->kind));
	}
}

/* Who asked for it; NULL when the connection is gone. */
static struct intake *waiting_for(const struct server *server, const struct uuid *replica_uuid)
{
	struct list *it, *next;

	list_for_each (it, next, &server->pending) {
		struct intake *intake = container_of(it, struct intake, node);

		if (intake->state == INTAKE_BUSY && uuid_equal(&intake->deleting, replica_uuid))
			return intake;
	}
	return NULL;
}

void admin_removed(struct server *server, struct hosted *hosted)
{
	struct intake *intake = waiting_for(server, &hosted->identity.replica_uuid);
	struct message answer = {.kind = MESSAGE_DELETED};
	struct err err = {0};
	char name[REPLICA_DIR_NAME_MAX + 1];

	memcpy(name, hosted->name, sizeof(name));
	if (registry_remove(server, hosted, &err)) {
		log_error("event=not_deleted reason=\"%s\"", err.text);
		if (intake)
			intake_refuse(intake, REFUSAL_STORE, false, "%s", err.text);
		return;
	}
	log_info("event=deleted replica=%s", name);
	if (intake)
		intake_send(intake, &answer, false);
}

void admin_in_use(struct server *server, struct hosted *hosted)
{
	struct intake *intake = waiting_for(server, &hosted->identity.replica_uuid);

	hosted->delete_asked = false;
	if (intake)
		intake_refuse(intake, REFUSAL_IN_USE, false, "replica %s: a gateway uses it; detach the volume first",
			      hosted->name);
}
