/* blockclient: talks to a replica-server as no gateway would. Each argument is one command; the first that does not
 * come true ends the program with 1 and says what came instead. blockclient ADDR:PORT COMMAND... hello data|bulk|admin
 * [volume=UUID] [set=UUID] [replica=UUID] [version=N] [features=N] probe | promise EPOCH NONCE | open EPOCH SESSION
 * [NONCE] | join EPOCH SESSION [NONCE] | list | message KIND accept EPOCH NONCE [gen=+N] [FIELD=VALUE]   proposes the
 * config that the last STATE carried frame TYPE [FIELD=VALUE...]                 a header; WRITE, BATCH and CONTROL are
 * followed by `length` bytes of 0x77 raw TYPE BYTE=VALUE [FIELD=VALUE...]        the same with a byte of the header
 * changed and its checksum left wrong batch COUNT LENGTH [FIELD=VALUE...]         COUNT WRITE frames of LENGTH bytes;
 * fields are the inner frames' bytes HEX | random COUNT SEED | cut K (the next send ends after K bytes and closes) |
 * cutfin K expect welcome|state|accepted|opened|joined|listing|... | expect refused [REASON] | expect closed expect
 * refusal-or-closed | expect reply TYPE [status=NAME] [length=N] [fill=BYTE] | close | reset | connect | hold SECONDS
 * On no product path. Knows the wire through lib/wire_client.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "proto/codec.h"
#include "tests/native/lib/proxy_rule.h"
#include "tests/native/lib/tool.h"
#include "tests/native/lib/wire_client.h"

#define WORDS_MAX 12u
#define PATTERN_BYTE 0x77

struct talk {
	struct wire_client wire;
	const char *address;
	const char *command;	/* for the report */
	struct message message; /* received last */
	struct config config;	/* of the last STATE */
	uint64_t next_id;
	uint32_t epoch, session;
	unsigned word_count;
	char *words[WORDS_MAX];
	char text[1024];
	bool by_fin;
};

_Noreturn static void failed(const struct talk *talk, const char *what)
{
	tool_die(EXIT_WRONG, "blockclient %s: '%s': %s", talk->address, talk->command, what);
}

static const char *word(const struct talk *talk, unsigned idx)
{
	if (idx >= talk->word_count)
		tool_die(EXIT_CANNOT, "blockclient: '%s': too few words", talk->command);
	return talk->words[idx];
}

/* The value of NAME=VALUE among the words, or `otherwise`. */
static const char *named(const struct talk *talk, const char *name, const char *otherwise)
{
	size_t len = strlen(name);

	for (unsigned i = 1; i < talk->word_count; i++)
		if (strncmp(talk->words[i], name, len) == 0 && talk->words[i][len] == '=')
			return talk->words[i] + len + 1;
	return otherwise;
}

static struct uuid named_uuid(const struct talk *talk, const char *name)
{
	struct uuid uuid = {{0}};
	const char *text = named(talk, name, NULL);

	if (text && uuid_parse(text, &uuid) != 0)
		tool_die(EXIT_CANNOT, "blockclient: %s: not a uuid: %s", name, text);
	return uuid;
}

static uint64_t number(const struct talk *talk, unsigned idx)
{
	return tool_number(word(talk, idx), talk->command);
}

static void do_hello(struct talk *talk)
{
	struct message message = {.kind = MESSAGE_HELLO};
	const char *role = word(talk, 1);
	const char *version = named(talk, "version", NULL);

	message.hello.version = version ? (uint32_t)tool_number(version, "version") : PROTOCOL_VERSION;
	message.hello.features = tool_number(named(talk, "features", "0"), "features");
	message.hello.role = strcmp(role, "data") == 0	 ? HELLO_DATA
			     : strcmp(role, "bulk") == 0 ? HELLO_BULK
							 : HELLO_ADMIN;
	message.hello.volume_uuid = named_uuid(talk, "volume");
	message.hello.set_uuid = named_uuid(talk, "set");
	message.hello.replica_uuid = named_uuid(talk, "replica");
	snprintf(message.hello.client, sizeof(message.hello.client), "blockclient");
	wire_client_send_message(&talk->wire, &message);
}

static void do_promise(struct talk *talk)
{
	struct message message = {.kind = MESSAGE_PROMISE};

	message.promise.ballot.epoch = (uint32_t)number(talk, 1);
	message.promise.ballot.nonce = number(talk, 2);
	wire_client_send_message(&talk->wire, &message);
}

static void do_open(struct talk *talk)
{
	struct message message = {.kind = strcmp(word(talk, 0), "open") == 0 ? MESSAGE_OPEN : MESSAGE_JOIN};

	talk->epoch = message.open.ballot.epoch = (uint32_t)number(talk, 1);
	talk->session = message.open.session = (uint32_t)number(talk, 2);
	message.open.ballot.nonce = talk->word_count > 3 ? number(talk, 3) : 7;
	wire_client_send_message(&talk->wire, &message);
}

static void do_accept(struct talk *talk)
{
	struct message message = {.kind = MESSAGE_ACCEPT};
	struct config *config = &message.accept.config;

	message.accept.ballot.epoch = (uint32_t)number(talk, 1);
	message.accept.ballot.nonce = number(talk, 2);
	*config = talk->config;
	config->ballot = message.accept.ballot;
	config->gen += (uint32_t)tool_number(named(talk, "gen", "1"), "gen");
	config->set_bytes += tool_number(named(talk, "set_bytes", "0"), "set_bytes");
	config->volume_bytes += tool_number(named(talk, "volume_bytes", "0"), "volume_bytes");
	if (named(talk, "set", NULL))
		config->set_uuid = named_uuid(talk, "set");
	if (named(talk, "voter", NULL))
		config->voters[0].uuid = named_uuid(talk, "voter");
	wire_client_send_message(&talk->wire, &message);
}

static void do_message(struct talk *talk)
{
	static struct message message;

	message = (struct message){.kind = (enum message_kind)(strcmp(word(talk, 0), "probe") == 0 ? MESSAGE_PROBE
							       : strcmp(word(talk, 0), "list") == 0
								       ? MESSAGE_LIST
								       : (int)number(talk, 1))};
	wire_client_send_message(&talk->wire, &message);
}

static enum message_kind kind_of(const struct talk *talk, const char *name)
{
	for (unsigned kind = MESSAGE_HELLO; kind < MESSAGE_KIND_COUNT; kind++)
		if (strcasecmp(message_kind_name((enum message_kind)kind), name) == 0)
			return (enum message_kind)kind;
	tool_die(EXIT_CANNOT, "blockclient: '%s': unknown message", talk->command);
}

static uint64_t named_number(const struct talk *talk, const char *name)
{
	return tool_number(named(talk, name, "0"), name);
}

/* ask KIND EPOCH NONCE [FIELD=VALUE...]: a voter's question. STAMP has one run, if it has a count. */
static void do_ask(struct talk *talk)
{
	static struct message message;
	struct ballot ballot = {.epoch = (uint32_t)number(talk, 2), .nonce = number(talk, 3)};

	message = (struct message){.kind = kind_of(talk, word(talk, 1))};
	switch (message.kind) {
	case MESSAGE_STAMP:
		message.stamp.ballot = ballot;
		message.stamp.sync = named_number(talk, "sync");
		message.stamp.runs[0].first = named_number(talk, "first");
		message.stamp.runs[0].count = (uint32_t)named_number(talk, "count");
		message.stamp.runs[0].gen = (uint32_t)named_number(talk, "gen");
		message.stamp.count = message.stamp.runs[0].count > 0;
		break;
	case MESSAGE_DIGEST:
		message.digest.ballot = ballot;
		message.digest.offset = named_number(talk, "offset");
		message.digest.length = (uint32_t)named_number(talk, "length");
		break;
	case MESSAGE_LIST_REGIONS:
	case MESSAGE_STAMPED_REGIONS:
		message.regions_ask.ballot = ballot;
		message.regions_ask.from = named_number(talk, "from");
		message.regions_ask.above_gen = (uint32_t)named_number(talk, "above");
		break;
	default:
		message.promise.ballot = ballot;
	}
	wire_client_send_message(&talk->wire, &message);
}

/* witness UUID NAME: a CREATE of a witness for the set of the last STATE. */
static void do_witness(struct talk *talk)
{
	struct message message = {.kind = MESSAGE_CREATE};
	struct config *config = &message.create.config;
	struct voter *voter;

	if (uuid_parse(word(talk, 1), &message.create.replica_uuid) != 0)
		tool_die(EXIT_CANNOT, "blockclient: not a uuid: %s", word(talk, 1));
	snprintf(message.create.volume_name, sizeof(message.create.volume_name), "%s", word(talk, 2));
	*config = talk->config;
	config->ballot = (struct ballot){0};
	config->gen = 1;
	for (uint32_t i = 0; i < config->voter_count; i++)
		config->voters[i].in_sync_gen = 1;
	voter = &config->voters[config->voter_count++];
	*voter = (struct voter){.uuid = message.create.replica_uuid, .kind = VOTER_WITNESS, .state = VOTER_OUT};
	snprintf(voter->address, sizeof(voter->address), "%s", talk->address);
	wire_client_send_message(&talk->wire, &message);
}

/* The words after the fixed part as a rule of the faultproxy: same field names, same meaning. */
static void apply_fields(struct talk *talk, unsigned first, struct frame *frame)
{
	for (unsigned i = first; i < talk->word_count; i++) {
		struct rule rule = {.field_count = 1};
		char *equals = strchr(talk->words[i], '=');

		if (!equals || equals - talk->words[i] >= (int)sizeof(rule.fields[0].name))
			tool_die(EXIT_CANNOT, "blockclient: '%s': FIELD=VALUE expected", talk->command);
		snprintf(rule.fields[0].name, sizeof(rule.fields[0].name), "%.*s", (int)(equals - talk->words[i]),
			 talk->words[i]);
		rule.fields[0].value = tool_number(equals + 1, talk->words[i]);
		if (rule_change_frame(&rule, frame) != 0)
			tool_die(EXIT_CANNOT, "blockclient: no such field: %s", talk->words[i]);
	}
}

static uint8_t frame_type_of(const struct talk *talk, const char *name)
{
	char line[64];
	const char *why;
	struct rule rule;

	snprintf(line, sizeof(line), "frame up %s 1", name);
	if (rule_parse(line, &rule, &why) != 0)
		tool_die(EXIT_CANNOT, "blockclient: '%s': unknown frame type", talk->command);
	return rule.frame_type;
}

static struct frame new_frame(struct talk *talk, const char *type_name)
{
	uint8_t type = frame_type_of(talk, type_name);
	struct frame frame = {.type = type};

	if (type == FRAME_CONTROL)
		return frame;
	frame.epoch = talk->epoch;
	frame.session = talk->session;
	if (type != FRAME_BATCH)
		frame.id = ++talk->next_id;
	if (type == FRAME_WRITE || type == FRAME_READ || type == FRAME_DISCARD || type == FRAME_ZEROES)
		frame.length = 4096;
	if (type == FRAME_WRITE || type == FRAME_DISCARD || type == FRAME_ZEROES)
		frame.wseq = talk->next_id;
	return frame;
}

static bool has_payload(const struct frame *frame)
{
	return frame->type == FRAME_WRITE || frame->type == FRAME_BATCH || frame->type == FRAME_CONTROL;
}

static void do_frame(struct talk *talk)
{
	static uint8_t payload[IO_BYTES_MAX];
	bool is_raw = strcmp(word(talk, 0), "raw") == 0;
	struct frame frame = new_frame(talk, word(talk, 1));
	size_t len;
	uint8_t header[FRAME_BYTES];

	memset(payload, PATTERN_BYTE, sizeof(payload));
	apply_fields(talk, is_raw ? 3 : 2, &frame);
	len = has_payload(&frame) && frame.length <= sizeof(payload) ? frame.length : 0;
	if (frame.type == FRAME_CONTROL && !named(talk, "checksum", NULL))
		frame.checksum = crc32c(0, payload, len);
	frame_encode(&frame, header);
	if (is_raw) {
		char *equals = strchr(talk->words[2], '=');

		header[strtoul(word(talk, 2), NULL, 0) % FRAME_BYTES] =
			(uint8_t)tool_number(equals ? equals + 1 : "1", "byte");
	}
	wire_client_send(&talk->wire, header, sizeof(header));
	wire_client_send(&talk->wire, payload, len);
}

/* Inner frames one behind the other at `offset` 0, LENGTH, 2 LENGTH...; session 0, the batch's applies. */
static void do_batch(struct talk *talk)
{
	uint64_t count = number(talk, 1), len = number(talk, 2);
	size_t total = count * (FRAME_BYTES + len);
	uint8_t *bytes = tool_zalloc(total + 1);
	struct frame batch = new_frame(talk, "batch");

	batch.length = (uint32_t)total;
	memset(bytes, PATTERN_BYTE, total);
	for (uint64_t i = 0; i < count; i++) {
		struct frame inner = new_frame(talk, "write");

		inner.session = 0;
		inner.length = (uint32_t)len;
		inner.offset = i * len;
		apply_fields(talk, 3, &inner);
		frame_encode(&inner, bytes + i * (FRAME_BYTES + len));
	}
	wire_client_send_frame(&talk->wire, &batch, bytes, total);
	free(bytes);
}

static void do_bytes(struct talk *talk)
{
	const char *hex = word(talk, 1);
	uint8_t bytes[512];
	size_t len = 0;

	for (; hex[0] && hex[1] && len < sizeof(bytes); hex += 2) {
		char pair[3] = {hex[0], hex[1], 0};

		bytes[len++] = (uint8_t)strtoul(pair, NULL, 16);
	}
	wire_client_send(&talk->wire, bytes, len);
}

static void do_random(struct talk *talk)
{
	uint64_t count = number(talk, 1), state = number(talk, 2);

	while (count-- > 0) {
		uint8_t byte = (uint8_t)tool_random(&state);

		wire_client_send(&talk->wire, &byte, 1);
	}
}

static void do_cut(struct talk *talk)
{
	talk->wire.cut_at = number(talk, 1);
	talk->by_fin = strcmp(word(talk, 0), "cutfin") == 0;
}

static void say_what_came(struct talk *talk, enum wire_event event, const struct frame *frame, char *out, size_t cap)
{
	static const char *const events[] = {"a frame", "the connection was closed", "nothing in time", "nonsense"};

	if (event != WIRE_FRAME)
		snprintf(out, cap, "%s", events[event]);
	else if (frame->type != FRAME_CONTROL)
		snprintf(out, cap, "%s, status %s, length %u", frame_type_name(frame->type),
			 wire_status_name((enum wire_status)frame->status), frame->length);
	else if (!wire_client_message(&talk->wire, frame, &talk->message))
		snprintf(out, cap, "a control message that cannot be unpacked");
	else
		snprintf(out, cap, "%s %s %s", message_kind_name(talk->message.kind),
			 talk->message.kind == MESSAGE_REFUSED ? refusal_name(talk->message.refused.refusal) : "",
			 talk->message.kind == MESSAGE_REFUSED ? talk->message.refused.text : "");
}

static bool is_refusal_wanted(struct talk *talk, const struct frame *frame)
{
	if (!wire_client_message(&talk->wire, frame, &talk->message) || talk->message.kind != MESSAGE_REFUSED)
		return false;
	printf("refused (%s): %s\n", refusal_name(talk->message.refused.refusal), talk->message.refused.text);
	return talk->word_count < 3 || strcmp(talk->words[2], refusal_name(talk->message.refused.refusal)) == 0;
}

static bool is_reply_wanted(struct talk *talk, const struct frame *frame)
{
	uint32_t length = (uint32_t)tool_number(named(talk, "length", "0"), "length");
	const char *fill = named(talk, "fill", NULL);

	if (frame->type != (frame_type_of(talk, word(talk, 2)) | FRAME_REPLY) ||
	    strcasecmp(named(talk, "status", "ok"), wire_status_name((enum wire_status)frame->status)) != 0)
		return false;
	if (named(talk, "length", NULL) && frame->length != length)
		return false;
	for (uint32_t i = 0; fill && i < frame->length; i++)
		if (talk->wire.payload[i] != (uint8_t)tool_number(fill, "fill"))
			return false;
	return true;
}

/* runs=, and of the first run first=, count=, gen=. */
static bool are_regions_wanted(const struct talk *talk, const struct message_regions *regions)
{
	const struct region_run *run = &regions->runs[0];

	if (named(talk, "runs", NULL) && named_number(talk, "runs") != regions->count)
		return false;
	if (named(talk, "first", NULL) && (!regions->count || named_number(talk, "first") != run->first))
		return false;
	if (named(talk, "count", NULL) && (!regions->count || named_number(talk, "count") != run->count))
		return false;
	return !named(talk, "gen", NULL) || (regions->count && named_number(talk, "gen") == run->gen);
}

/* pieces=; equal=N: the first N pieces are, and the one behind them is another. */
static bool are_digests_wanted(const struct talk *talk, const struct message_digested *digested)
{
	uint64_t equal = named_number(talk, "equal");

	if (named(talk, "pieces", NULL) && named_number(talk, "pieces") != digested->count)
		return false;
	for (uint64_t i = 1; i < digested->count && i <= equal; i++)
		if ((memcmp(digested->digests[0], digested->digests[i], DIGEST_BYTES) == 0) != (i < equal))
			return false;
	return true;
}

static bool is_message_wanted(struct talk *talk, const struct frame *frame, const char *name)
{
	if (!wire_client_message(&talk->wire, frame, &talk->message))
		return false;
	if (talk->message.kind == MESSAGE_STATE)
		talk->config = talk->message.state.config;
	if (strcasecmp(message_kind_name(talk->message.kind), name) != 0)
		return false;
	if (talk->message.kind == MESSAGE_REGIONS)
		return are_regions_wanted(talk, &talk->message.regions);
	return talk->message.kind != MESSAGE_DIGESTED || are_digests_wanted(talk, &talk->message.digested);
}

static void do_expect(struct talk *talk)
{
	const char *what = word(talk, 1);
	struct frame frame = {0};
	enum wire_event event = wire_client_receive(&talk->wire, &frame);
	char came[768];
	bool wanted = false;

	if (strcmp(what, "closed") == 0 || (strcmp(what, "refusal-or-closed") == 0 && event == WIRE_CLOSED))
		wanted = event == WIRE_CLOSED;
	else if (event == WIRE_FRAME && (strcmp(what, "refused") == 0 || strcmp(what, "refusal-or-closed") == 0))
		wanted = is_refusal_wanted(talk, &frame);
	else if (event == WIRE_FRAME && strcmp(what, "reply") == 0)
		wanted = is_reply_wanted(talk, &frame);
	else if (event == WIRE_FRAME)
		wanted = is_message_wanted(talk, &frame, what);
	if (wanted)
		return;
	say_what_came(talk, event, &frame, came, sizeof(came));
	failed(talk, came);
}

static void do_connect(struct talk *talk)
{
	int error;

	wire_client_close(&talk->wire, false);
	error = wire_client_connect(&talk->wire, talk->address);
	if (error)
		failed(talk, strerror(-error));
}

static void do_close(struct talk *talk)
{
	wire_client_close(&talk->wire, strcmp(word(talk, 0), "reset") == 0);
}

static void do_hold(struct talk *talk)
{
	printf("holding\n");
	fflush(stdout);
	sleep((unsigned)number(talk, 1));
}

static const struct {
	const char *name;
	void (*run)(struct talk *talk);
} commands[] = {
	{"hello", do_hello},	 {"probe", do_message},	  {"list", do_message},	   {"message", do_message},
	{"promise", do_promise}, {"open", do_open},	  {"join", do_open},	   {"accept", do_accept},
	{"frame", do_frame},	 {"raw", do_frame},	  {"batch", do_batch},	   {"bytes", do_bytes},
	{"random", do_random},	 {"cut", do_cut},	  {"cutfin", do_cut},	   {"expect", do_expect},
	{"close", do_close},	 {"reset", do_close},	  {"connect", do_connect}, {"hold", do_hold},
	{"ask", do_ask},	 {"witness", do_witness},
};

static void run(struct talk *talk, const char *command)
{
	char *save = NULL;

	talk->command = command;
	talk->word_count = 0;
	snprintf(talk->text, sizeof(talk->text), "%s", command);
	for (char *at = strtok_r(talk->text, " ", &save); at && talk->word_count < WORDS_MAX;
	     at = strtok_r(NULL, " ", &save))
		talk->words[talk->word_count++] = at;
	for (unsigned i = 0; i < ARRAY_COUNT(commands); i++) {
		if (strcmp(word(talk, 0), commands[i].name) != 0)
			continue;
		commands[i].run(talk);
		if (talk->wire.cut_at == 0)
			wire_client_close(&talk->wire, !talk->by_fin);
		return;
	}
	tool_die(EXIT_CANNOT, "blockclient: unknown command: %s", command);
}

int main(int argc, char **argv)
{
	const char *slow = getenv("SLOW");
	struct talk *talk = tool_zalloc(sizeof(*talk));

	if (argc < 3)
		tool_die(EXIT_CANNOT, "blockclient ADDR:PORT COMMAND...");
	talk->address = argv[1];
	talk->wire.fd = -1;
	talk->wire.timeout_ms = 5000 * (int)(slow ? tool_number(slow, "SLOW") : 1);
	talk->command = "connect";
	do_connect(talk);
	for (int i = 2; i < argc; i++)
		run(talk, argv[i]);
	wire_client_close(&talk->wire, false);
	free(talk);
	return 0;
}
