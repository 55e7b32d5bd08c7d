/* Where each key of a YAML text stands, and the complaints that need no schema. Knows libyaml, no file and no schema.
 * First half of yaml_file_load(); the text is hostile until this pass is over. */
#include "common/yaml_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct scanner {
	yaml_parser_t parser;
	struct yaml_scan *scan;
	struct err *err;
	unsigned depth;
	char path[YAML_SCAN_PATH_CHARS];
};

static int scan_node(struct scanner *s, const yaml_event_t *event);

static int scan_refuse(struct scanner *s, const yaml_mark_t *mark, const char *text)
{
	return err_set(s->err, -EINVAL, "%zu: %s", mark->line + 1, text);
}

static int next_event(struct scanner *s, yaml_event_t *ret)
{
	const yaml_parser_t *p = &s->parser;

	if (yaml_parser_parse(&s->parser, ret))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return err_set(s->err, -ENOMEM, "1: out of memory");
	return err_set(s->err, -EINVAL, "%zu: %s%s%s", p->problem_mark.line + 1, p->problem ? p->problem : "not YAML",
		       p->context ? " " : "", p->context ? p->context : "");
}

static const struct yaml_place *find_place(const struct yaml_scan *scan, const char *path)
{
	for (size_t i = 0; i < scan->count; i++) {
		if (!strcmp(scan->places[i].path, path))
			return &scan->places[i];
	}
	return NULL;
}

static int grow(struct scanner *s)
{
	struct yaml_scan *scan = s->scan;
	size_t cap = scan->cap ? scan->cap * 2 : 64;
	struct yaml_place *places;

	if (scan->count < scan->cap)
		return 0;
	places = reallocarray(scan->places, cap, sizeof(*places));
	if (!places)
		return err_set(s->err, -ENOMEM, "1: out of memory");
	scan->places = places;
	scan->cap = cap;
	return 0;
}

/* Remembers the line of the current path; a path seen before is a duplicate key. */
static int add_place(struct scanner *s, const yaml_mark_t *mark)
{
	struct yaml_scan *scan = s->scan;
	const struct yaml_place *earlier = find_place(scan, s->path);
	int error;

	if (earlier)
		return err_set(s->err, -EINVAL, "%zu: duplicate key '%s', first given on line %u", mark->line + 1,
			       s->path, earlier->line);
	if (scan->count == YAML_SCAN_PLACES_MAX)
		return scan_refuse(s, mark, "too many keys");
	error = grow(s);
	if (error)
		return error;
	scan->places[scan->count].line = (unsigned)mark->line + 1;
	memcpy(scan->places[scan->count].path, s->path, sizeof(s->path));
	scan->count++;
	return 0;
}

/* Appends a key or an index to the path. Returns where to cut it again, or an error. */
static int push_path(struct scanner *s, const yaml_event_t *event, const char *format, const char *key, unsigned idx)
{
	size_t len = strlen(s->path);
	char part[YAML_SCAN_PATH_CHARS];
	int n, error;

	n = key ? snprintf(part, sizeof(part), "%s%s", format, key) : snprintf(part, sizeof(part), "[%u]", idx);
	if (n < 0 || len + (size_t)n >= sizeof(s->path))
		return scan_refuse(s, &event->start_mark, "a key is too long");
	memcpy(s->path + len, part, (size_t)n + 1);
	error = add_place(s, &event->start_mark);
	return error ? error : (int)len;
}

/* One key and its value. `event` is the key's. */
static int scan_pair(struct scanner *s, const yaml_event_t *event)
{
	yaml_event_t value;
	int error, cut;

	if (event->type != YAML_SCALAR_EVENT)
		return scan_refuse(s, &event->start_mark, "a key must be a word");
	if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
		return scan_refuse(s, &event->start_mark, "a key contains a NUL");
	cut = push_path(s, event, s->path[0] ? "." : "", (const char *)event->data.scalar.value, 0);
	if (cut < 0)
		return cut;
	error = next_event(s, &value);
	if (error)
		return error;
	error = scan_node(s, &value);
	yaml_event_delete(&value);
	s->path[cut] = '\0';
	return error;
}

static int scan_item(struct scanner *s, const yaml_event_t *event, unsigned idx)
{
	int cut = push_path(s, event, "", NULL, idx);
	int error;

	if (cut < 0)
		return cut;
	error = scan_node(s, event);
	s->path[cut] = '\0';
	return error;
}

/* The members of a mapping or a sequence, up to its end event. */
static int scan_members(struct scanner *s, yaml_event_type_t end)
{
	int error = 0;

	for (unsigned idx = 0; !error; idx++) {
		yaml_event_t event;
		bool done;

		error = next_event(s, &event);
		if (error)
			return error;
		done = event.type == end;
		if (!done)
			error = end == YAML_MAPPING_END_EVENT ? scan_pair(s, &event) : scan_item(s, &event, idx);
		yaml_event_delete(&event);
		if (done)
			break;
	}
	return error;
}

static int scan_node(struct scanner *s, const yaml_event_t *event)
{
	const yaml_char_t *anchor = NULL;
	yaml_event_type_t end;
	int error;

	switch (event->type) {
	case YAML_SCALAR_EVENT:
		if (event->data.scalar.anchor)
			return scan_refuse(s, &event->start_mark, "anchors are not supported");
		if (memchr(event->data.scalar.value, '\0', event->data.scalar.length))
			return scan_refuse(s, &event->start_mark, "a value contains a NUL");
		return 0;
	case YAML_MAPPING_START_EVENT:
		anchor = event->data.mapping_start.anchor;
		end = YAML_MAPPING_END_EVENT;
		break;
	case YAML_SEQUENCE_START_EVENT:
		anchor = event->data.sequence_start.anchor;
		end = YAML_SEQUENCE_END_EVENT;
		break;
	default:
		return scan_refuse(s, &event->start_mark, "aliases are not supported");
	}
	if (anchor)
		return scan_refuse(s, &event->start_mark, "anchors are not supported");
	if (s->depth == YAML_SCAN_DEPTH_MAX)
		return scan_refuse(s, &event->start_mark, "nested too deeply");
	s->depth++;
	error = scan_members(s, end);
	s->depth--;
	return error;
}

/* Stream level: exactly one document with a mapping at its top. */
static int scan_stream(struct scanner *s)
{
	unsigned documents = 0;
	int error = 0;
	bool done = false;

	while (!error && !done) {
		yaml_event_t event;

		error = next_event(s, &event);
		if (error)
			return error;
		if (event.type == YAML_DOCUMENT_START_EVENT && documents++)
			error = scan_refuse(s, &event.start_mark, "only one document is expected in the file");
		else if (event.type == YAML_STREAM_END_EVENT)
			done = true;
		else if (event.type == YAML_MAPPING_START_EVENT)
			error = scan_node(s, &event);
		else if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT)
			error = scan_refuse(s, &event.start_mark, "expected 'key: value' lines");
		yaml_event_delete(&event);
	}
	if (!error && !documents)
		return err_set(s->err, -EINVAL, "1: the file is empty");
	return error;
}

int yaml_scan(const char *text, size_t len, struct yaml_scan *ret, struct err *err)
{
	struct scanner s = {.scan = ret, .err = err};
	int error;

	memset(ret, 0, sizeof(*ret));
	if (!yaml_parser_initialize(&s.parser))
		return err_set(err, -ENOMEM, "1: out of memory");
	yaml_parser_set_input_string(&s.parser, (const unsigned char *)text, len);
	error = scan_stream(&s);
	yaml_parser_delete(&s.parser);
	return error;
}

void yaml_scan_fini(struct yaml_scan *scan)
{
	free(scan->places);
	memset(scan, 0, sizeof(*scan));
}

unsigned yaml_scan_line(const struct yaml_scan *scan, const char *path)
{
	char cut[YAML_SCAN_PATH_CHARS];

	snprintf(cut, sizeof(cut), "%s", path);
	for (size_t len = strlen(cut); len; len--) {
		const struct yaml_place *place;

		if (cut[len] != '\0' && cut[len] != '.' && cut[len] != '[')
			continue;
		cut[len] = '\0';
		place = find_place(scan, cut);
		if (place)
			return place->line;
	}
	return 1;
}

unsigned yaml_scan_key_line(const struct yaml_scan *scan, const char *key, unsigned from)
{
	for (size_t i = 0; i < scan->count; i++) {
		const char *dot = strrchr(scan->places[i].path, '.');

		if (scan->places[i].line >= from && !strcmp(dot ? dot + 1 : scan->places[i].path, key))
			return scan->places[i].line;
	}
	return from;
}
