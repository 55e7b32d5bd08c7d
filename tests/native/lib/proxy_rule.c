/* The faultproxy's rules: text to struct, and what a rule does to a header. Knows no sockets. */
#include "tests/native/lib/proxy_rule.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/native/lib/tool.h"

static const char *const frame_names[] = {
	[FRAME_CONTROL] = "control", [FRAME_BATCH] = "batch",	  [FRAME_WRITE] = "write",   [FRAME_READ] = "read",
	[FRAME_FLUSH] = "flush",     [FRAME_DISCARD] = "discard", [FRAME_ZEROES] = "zeroes", [FRAME_PING] = "ping",
};

static int parse_kind(const char *word, enum rule_kind *ret)
{
	static const char *const names[] = {"cut", "within", "flip", "frame", "raw", "control"};

	for (unsigned i = 0; i < ARRAY_COUNT(names); i++)
		if (word && strcmp(word, names[i]) == 0) {
			*ret = (enum rule_kind)i;
			return 0;
		}
	return -EINVAL;
}

static unsigned message_named(const char *word)
{
	for (unsigned kind = 1; kind < MESSAGE_KIND_COUNT; kind++)
		if (strcmp(message_kind_name((enum message_kind)kind), word) == 0)
			return kind;
	return 0;
}

static int parse_type(const char *word, uint8_t *ret)
{
	for (unsigned i = 0; i < ARRAY_COUNT(frame_names); i++)
		if (word && frame_names[i] && strcmp(word, frame_names[i]) == 0) {
			*ret = (uint8_t)i;
			return 0;
		}
	return -EINVAL;
}

static unsigned parse_role(const char *lane)
{
	if (strcmp(lane, "main") == 0)
		return HELLO_DATA;
	if (strcmp(lane, "bulk") == 0)
		return HELLO_BULK;
	return strcmp(lane, "admin") == 0 ? HELLO_ADMIN : 0;
}

static int parse_field(struct rule *rule, const char *name, const char *value)
{
	struct rule_field *field = &rule->fields[rule->field_count];

	if (rule->field_count == RULE_FIELDS_MAX || strlen(name) >= sizeof(field->name))
		return -EINVAL;
	snprintf(field->name, sizeof(field->name), "%s", name);
	if (*value == '+' || *value == '-')
		field->sign = *value++;
	field->value = tool_number(value, name);
	rule->field_count++;
	return 0;
}

/* One NAME=VALUE or lone word after the fixed part. */
static int parse_option(struct rule *rule, char *word)
{
	char *value = strchr(word, '=');

	if (rule->kind == RULE_CONTROL && strcmp(word, "garbage") == 0)
		rule->fault = CONTROL_GARBAGE;
	else if (rule->kind == RULE_CONTROL && strcmp(word, "badcrc") == 0)
		rule->fault = CONTROL_BADCRC;
	if (!value)
		return rule->kind == RULE_CONTROL ? 0 : -EINVAL;
	*value++ = '\0';
	if (strcmp(word, "lane") == 0)
		return (rule->role = parse_role(value)) ? 0 : -EINVAL;
	if (strcmp(word, "times") == 0)
		return (rule->times_left = (unsigned)tool_number(value, word)) ? 0 : -EINVAL;
	if (strcmp(word, "step") == 0)
		return (rule->step = tool_number(value, word)) ? 0 : -EINVAL;
	if (strcmp(word, "mask") == 0)
		return (rule->mask = (uint8_t)tool_number(value, word)) ? 0 : -EINVAL;
	if (strcmp(word, "how") == 0) {
		rule->fin = strcmp(value, "fin") == 0;
		return 0;
	}
	if (rule->kind == RULE_CONTROL && strcmp(word, "as") == 0) {
		rule->fault = CONTROL_AS;
		rule->as_kind = (unsigned)tool_number(value, word);
		return 0;
	}
	return parse_field(rule, word, value);
}

/* NAME FIRST LAST, NAME being `word`. */
static int parse_within(struct rule *rule, const char *word, char **save)
{
	const char *first, *last;

	rule->message_kind = message_named(word);
	if (!rule->message_kind && parse_type(word, &rule->frame_type) != 0)
		return -EINVAL;
	first = strtok_r(NULL, " \n", save);
	last = strtok_r(NULL, " \n", save);
	if (!first || !last)
		return -EINVAL;
	rule->at = tool_number(first, "first");
	rule->until_end = strcmp(last, "end") == 0;
	rule->last = rule->until_end ? UINT64_MAX : tool_number(last, "last");
	return 0;
}

/* The words that a kind of rule must have after its direction. */
static int parse_fixed(struct rule *rule, char **save)
{
	char *word = strtok_r(NULL, " \n", save);

	if (!word)
		return -EINVAL;
	switch (rule->kind) {
	case RULE_CUT:
	case RULE_FLIP:
		rule->at = tool_number(word, "byte");
		return 0;
	case RULE_WITHIN:
		return parse_within(rule, word, save);
	case RULE_CONTROL:
		rule->message_kind = (unsigned)tool_number(word, "kind");
		return 0;
	case RULE_FRAME:
	case RULE_RAW:
		if (parse_type(word, &rule->frame_type) != 0)
			return -EINVAL;
		word = strtok_r(NULL, " \n", save);
		rule->nth = word ? tool_number(word, "nth") : 0;
		rule->at = rule->nth;
		return rule->nth ? 0 : -EINVAL;
	}
	return -EINVAL;
}

int rule_parse(char *line, struct rule *ret, const char **ret_why)
{
	struct rule rule = {.times_left = 1, .mask = 1, .step = 1};
	char *save = NULL;
	char *word = strtok_r(line, " \n", &save);

	*ret_why = "unknown kind of rule";
	if (parse_kind(word, &rule.kind) != 0)
		return -EINVAL;
	word = strtok_r(NULL, " \n", &save);
	*ret_why = "direction is up or down";
	if (!word || (strcmp(word, "up") != 0 && strcmp(word, "down") != 0))
		return -EINVAL;
	rule.direction = strcmp(word, "up") == 0 ? UP : DOWN;
	*ret_why = "byte, frame type or message kind missing or unknown";
	if (parse_fixed(&rule, &save) != 0)
		return -EINVAL;
	*ret_why = "unknown option";
	while ((word = strtok_r(NULL, " \n", &save)))
		if (parse_option(&rule, word) != 0)
			return -EINVAL;
	*ret = rule;
	return 0;
}

bool rule_applies(const struct rule *rule, enum rule_kind kind, enum direction direction, unsigned role)
{
	return rule->times_left > 0 && rule->kind == kind && rule->direction == direction &&
	       (rule->role == 0 || rule->role == role);
}

static uint64_t changed(const struct rule_field *field, uint64_t old)
{
	if (field->sign == '+')
		return old + field->value;
	return field->sign == '-' ? old - field->value : field->value;
}

static int change_field(const struct rule_field *field, struct frame *frame)
{
#define CHANGE(member)                                                                                                 \
	if (strcmp(field->name, #member) == 0) {                                                                       \
		frame->member = (typeof(frame->member))changed(field, frame->member);                                  \
		return 0;                                                                                              \
	}
	CHANGE(type)
	CHANGE(flags)
	CHANGE(status)
	CHANGE(epoch)
	CHANGE(session)
	CHANGE(gen)
	CHANGE(length)
	CHANGE(id)
	CHANGE(offset)
	CHANGE(wseq)
	CHANGE(stable_upto)
	CHANGE(checksum)
#undef CHANGE
	return -EINVAL;
}

int rule_change_frame(const struct rule *rule, struct frame *frame)
{
	for (unsigned i = 0; i < rule->field_count; i++)
		if (change_field(&rule->fields[i], frame) != 0)
			return -EINVAL;
	return 0;
}
