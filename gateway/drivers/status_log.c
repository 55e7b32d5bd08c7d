/* Says once what has changed: a volume that waits, a replica that is gone, the reason.
 * Decides nothing, keeps only what it said. Not on a request's path. */
#include "gateway/drivers/status_log.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "common/log.h"

static void log_volume(struct status_log *log, const struct admin_status *status)
{
	bool degraded = status->waits_for[0] || status->reason[0];

	if (!strcmp(log->state, status->state))
		return;
	log_line(degraded ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
		 "event=volume_state volume=%s from=%s state=%s reason=\"%s\" waits_for=\"%s\"", status->volume_name,
		 log->state[0] ? log->state : "-", status->state, status->reason, status->waits_for);
	snprintf(log->state, sizeof(log->state), "%s", status->state);
	sd_notifyf(0, "STATUS=%s %s%s%s%s%s", status->device, status->state, status->reason[0] ? ": " : "",
		   status->reason, status->waits_for[0] ? ", waiting for " : "", status->waits_for);
}

/* A leg that came and went between two snapshots shows in its count. */
static void log_leg(struct status_log *log, unsigned leg, const struct admin_leg *now)
{
	bool same_state = !strcmp(log->legs[leg].state, now->state);
	bool same_error = !strcmp(log->legs[leg].last_error, now->last_error);
	bool up = !strcmp(now->state, "up");

	if (same_state && same_error && log->legs[leg].reconnects == now->reconnects)
		return;
	/* While it keeps trying, "connecting" and "down" alternate: once is enough until the reason changes. */
	if (!up && same_error && log->legs[leg].state[0] && strcmp(log->legs[leg].state, "up"))
		return;
	log_line(up ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
		 "event=leg_state leg=%u replica=%s peer=%s from=%s state=%s session=%u error=\"%s\"", leg, now->name,
		 now->address, log->legs[leg].state[0] ? log->legs[leg].state : "-", now->state, now->session,
		 up ? "" : now->last_error);
	snprintf(log->legs[leg].state, sizeof(log->legs[leg].state), "%s", now->state);
	snprintf(log->legs[leg].last_error, sizeof(log->legs[leg].last_error), "%s", now->last_error);
	log->legs[leg].reconnects = now->reconnects;
}

void status_log_changes(struct status_log *log, const struct admin_status *status)
{
	log_volume(log, status);
	for (unsigned leg = 0; leg < status->leg_count; leg++)
		log_leg(log, leg, &status->legs[leg]);
}
