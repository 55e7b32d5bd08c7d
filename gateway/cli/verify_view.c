/* A verify as text and as JSON. Knows no socket; the caller has asked already. */
#include "gateway/cli/verify_view.h"

#include <inttypes.h>
#include <string.h>

#include "common/size.h"
#include "gateway/cli/cli.h"
#include "gateway/cli/status_view.h"

#define BAR_CHARS 24u
#define NAMES_CHARS (SET_VOTERS_MAX * (VOLUME_NAME_MAX + 2) + 1)

static unsigned percent(const struct admin_verify *verify)
{
	return verify->total_bytes ? (unsigned)(100.0 * (double)verify->compared_bytes / (double)verify->total_bytes)
				   : 0;
}

static void format_bar(unsigned of_100, char ret[BAR_CHARS + 4])
{
	unsigned full = of_100 * BAR_CHARS / 100;

	ret[0] = '[';
	for (unsigned i = 0; i < BAR_CHARS; i++)
		ret[1 + i] = i < full ? '#' : ' ';
	memcpy(ret + 1 + BAR_CHARS, "] ", 3);
}

/* ", 512M/s, 10 s left"; nothing while there is nothing to tell it from. */
static void format_rate(const struct admin_verify *verify, char *ret, size_t cap)
{
	char rate[SIZE_TEXT_CHARS], left[DURATION_CHARS];
	double per_ms = verify->took_ms ? (double)verify->compared_bytes / (double)verify->took_ms : 0;

	ret[0] = '\0';
	if (per_ms <= 0)
		return;
	size_format_rough((uint64_t)(per_ms * 1000), rate);
	duration_format(
		(uint64_t)((double)(verify->total_bytes - verify->compared_bytes) / per_ms) / 1000 * 1000 + 1000, left);
	snprintf(ret, cap, ", %s/s, about %s left", rate, left);
}

void verify_progress_format(const char *volume, const struct admin_verify *verify, bool has_bar,
			    char ret[VERIFY_PROGRESS_CHARS])
{
	char bar[BAR_CHARS + 4] = "", done[SIZE_TEXT_CHARS], total[SIZE_TEXT_CHARS], rate[128], text[96];

	if (has_bar)
		format_bar(percent(verify), bar);
	size_format_rough(verify->compared_bytes, done);
	size_format_rough(verify->total_bytes, total);
	format_rate(verify, rate, sizeof(rate));
	snprintf(text, sizeof(text), "%s%.80s", verify->text[0] ? "; waits: " : "", verify->text);
	snprintf(ret, VERIFY_PROGRESS_CHARS, "%.63s: %s%3u %%, %s of %s%s, %" PRIu32 " difference%s%s", volume, bar,
		 percent(verify), done, total, rate, verify->finding_count, verify->finding_count == 1 ? "" : "s",
		 text);
}

/* The nth replica of a set, as the status lists them. */
static const char *name_of(const struct admin_status *status, uint32_t set, unsigned nth)
{
	for (unsigned i = 0; i < status->leg_count; i++) {
		if (status->legs[i].set_index == set && nth-- == 0)
			return status->legs[i].name;
	}
	return "?";
}

static void format_names(const struct admin_status *status, uint32_t set, uint32_t legs, char ret[NAMES_CHARS])
{
	size_t used = 0;

	ret[0] = '\0';
	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		if (legs & 1u << i)
			used += (size_t)snprintf(ret + used, NAMES_CHARS - used, "%s%s", used ? ", " : "",
						 name_of(status, set, i));
	}
}

static void print_finding(FILE *out, const struct admin_status *status, const struct admin_finding *finding)
{
	char wrong[NAMES_CHARS], others[NAMES_CHARS];

	format_names(status, finding->set_index, finding->wrong, wrong);
	format_names(status, finding->set_index, finding->compared & ~finding->wrong, others);
	fprintf(out, "  set %u, %" PRIu64 " bytes at %" PRIu64 ": ", finding->set_index, finding->length,
		finding->offset);
	if (finding->wrong)
		fprintf(out, "%s differs from %s%s\n", wrong, others, finding->repaired ? "; repaired" : "");
	else
		fprintf(out, "%s differ, no majority says which is right\n", others);
}

/* The set's bytes, by the replica that was compared most. */
static uint64_t most_compared(const struct admin_status *status, const struct admin_verify *verify, uint32_t set)
{
	uint64_t most = 0;

	for (unsigned i = 0; i < verify->leg_count && i < status->leg_count; i++) {
		if (status->legs[i].set_index == set && verify->leg_bytes[i] > most)
			most = verify->leg_bytes[i];
	}
	return most;
}

/* Who was out of sync for a part of it. */
static void print_missed(FILE *out, const struct admin_status *status, const struct admin_verify *verify)
{
	for (unsigned i = 0; i < verify->leg_count && i < status->leg_count; i++) {
		const struct admin_leg *leg = &status->legs[i];
		uint64_t most = most_compared(status, verify, leg->set_index);
		char missed[SIZE_TEXT_CHARS];

		if (!strcmp(leg->kind, "witness") || verify->leg_bytes[i] == most)
			continue;
		size_format_rough(most - verify->leg_bytes[i], missed);
		fprintf(out, "  set %u, %s was out of sync for a part: %s were not compared on it\n", leg->set_index,
			leg->name, missed);
	}
}

void verify_print(FILE *out, const struct admin_status *status, const struct admin_verify *verify)
{
	char done[SIZE_TEXT_CHARS], differing[SIZE_TEXT_CHARS], repaired[SIZE_TEXT_CHARS], took[DURATION_CHARS];

	size_format_rough(verify->compared_bytes, done);
	size_format_rough(verify->differing_bytes, differing);
	size_format_rough(verify->repaired_bytes, repaired);
	duration_format(verify->took_ms, took);
	fprintf(out, "volume %s: %s compared in %s, ", status->volume_name, done, took);
	if (verify->finding_count)
		fprintf(out, "%s differ, %s repaired:\n", differing, repaired);
	else
		fprintf(out, "no difference\n");
	for (unsigned i = 0; i < admin_findings_kept(verify); i++)
		print_finding(out, status, &verify->findings[i]);
	if (verify->finding_count > ADMIN_FINDINGS_MAX)
		fprintf(out, "  and %" PRIu32 " more\n", verify->finding_count - ADMIN_FINDINGS_MAX);
	print_missed(out, status, verify);
}

static json_t *names_json(const struct admin_status *status, uint32_t set, uint32_t legs)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < SET_VOTERS_MAX; i++) {
		if (legs & 1u << i)
			json_array_append_new(list, cli_json_text(name_of(status, set, i)));
	}
	return list;
}

static json_t *findings_json(const struct admin_status *status, const struct admin_verify *verify)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < admin_findings_kept(verify); i++) {
		const struct admin_finding *finding = &verify->findings[i];

		json_array_append_new(list, json_pack("{s:i, s:I, s:I, s:o, s:o, s:b}", "set_index",
						      (int)finding->set_index, "offset", (json_int_t)finding->offset,
						      "length", (json_int_t)finding->length, "compared",
						      names_json(status, finding->set_index, finding->compared),
						      "wrong", names_json(status, finding->set_index, finding->wrong),
						      "repaired", finding->repaired));
	}
	return list;
}

static json_t *replicas_json(const struct admin_status *status, const struct admin_verify *verify)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < verify->leg_count && i < status->leg_count; i++)
		json_array_append_new(list, json_pack("{s:i, s:o, s:I}", "set_index", (int)status->legs[i].set_index,
						      "name", cli_json_text(status->legs[i].name), "compared_bytes",
						      (json_int_t)verify->leg_bytes[i]));
	return list;
}

json_t *verify_json(const struct admin_status *status, const struct admin_verify *verify)
{
	return json_pack("{s:s, s:o, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o}", "volume",
			 status->volume_name, "state", cli_json_text(verify->state), "repair", verify->repair,
			 "took_ms", (json_int_t)verify->took_ms, "total_bytes", (json_int_t)verify->total_bytes,
			 "compared_bytes", (json_int_t)verify->compared_bytes, "differing_bytes",
			 (json_int_t)verify->differing_bytes, "repaired_bytes", (json_int_t)verify->repaired_bytes,
			 "undecided_bytes", (json_int_t)verify->undecided_bytes, "finding_count",
			 (json_int_t)verify->finding_count, "reason", cli_json_text(verify->text), "findings",
			 findings_json(status, verify), "replicas", replicas_json(status, verify));
}
