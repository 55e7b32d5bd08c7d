/* A verify as the admin socket asks for it and hears of it. Decides nothing. Not on a request's path. */
#include "gateway/drivers/verify_job.h"

#include <stdio.h>
#include <stdlib.h>

static_assert(ADMIN_FINDINGS_MAX == VERIFY_FINDINGS_MAX, "the socket tells all that the engine keeps");

struct verify_job *verify_job_new(unsigned client, unsigned serial, const struct admin_request *request)
{
	struct verify_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->client = client;
	job->serial = serial;
	job->request = *request;
	return job;
}

void verify_job_do(struct verify_job *job, struct engine *engine, uint64_t now_ns)
{
	const struct admin_request *request = &job->request;
	const struct verify_order order = {
		.repair = request->repair,
		.sources = request->sources,
		.bytes_per_s = request->bytes_per_s,
	};

	if (request->verify_action == ADMIN_VERIFY_START)
		job->error = engine_verify_start(engine, &order, &job->err);
	else if (request->verify_action == ADMIN_VERIFY_CANCEL)
		engine_verify_cancel(engine);
	engine_verify_status(engine, &job->status);
	job->now_ns = now_ns;
}

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return to_ns > from_ns ? (to_ns - from_ns) / 1000000 : 0;
}

static struct admin_finding finding_of(const struct verify_finding *from)
{
	return (struct admin_finding){
		.set_index = from->set,
		.offset = from->offset,
		.length = from->length,
		.compared = from->compared,
		.wrong = from->wrong,
		.repaired = from->is_repaired,
	};
}

static void compose(const struct verify_job *job, struct admin_verify *ret)
{
	const struct verify_status *from = &job->status;
	bool is_running = from->state == VERIFY_RUNNING;

	*ret = (struct admin_verify){
		.repair = from->repair,
		.since_ms = from->state == VERIFY_NEVER ? 0 : ms_between(from->since_ns, job->now_ns),
		.took_ms = ms_between(from->since_ns, is_running ? job->now_ns : from->ended_ns),
		.total_bytes = from->total_bytes,
		.compared_bytes = from->compared_bytes,
		.differing_bytes = from->differing_bytes,
		.repaired_bytes = from->repaired_bytes,
		.undecided_bytes = from->undecided_bytes,
		.finding_count = from->finding_count,
		.leg_count = from->leg_count,
	};
	snprintf(ret->state, sizeof(ret->state), "%s", verify_state_name(from->state));
	snprintf(ret->text, sizeof(ret->text), "%s", from->text);
	for (unsigned i = 0; i < from->leg_count; i++)
		ret->leg_bytes[i] = from->leg_bytes[i];
	for (unsigned i = 0; i < admin_findings_kept(ret); i++)
		ret->findings[i] = finding_of(&from->findings[i]);
}

void verify_job_reply(const struct verify_job *job, struct admin_reply *ret)
{
	*ret = (struct admin_reply){.kind = job->error ? ADMIN_REFUSED : ADMIN_VERIFY_REPLY, .error = job->error};
	if (job->error)
		snprintf(ret->text, sizeof(ret->text), "%s", job->err.text);
	else
		compose(job, &ret->verify);
}
