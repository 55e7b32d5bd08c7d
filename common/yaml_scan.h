/* A first pass over a YAML text (libyaml events): on which line each key stands, and everything that is wrong with the
 * document whatever its schema: syntax, duplicate keys, anchors, aliases, several documents, nesting. Pure. */
#ifndef COMMON_YAML_SCAN_H
#define COMMON_YAML_SCAN_H

#include <stddef.h>

#include "common/compiler.h"
#include "common/err.h"

#define YAML_SCAN_DEPTH_MAX 12u
#define YAML_SCAN_PLACES_MAX 4096u
#define YAML_SCAN_PATH_CHARS 160u

struct yaml_place {
	unsigned line;			 /* from 1 */
	char path[YAML_SCAN_PATH_CHARS]; /* "sets[0].replicas[2].address" */
};

struct yaml_scan {
	struct yaml_place *places; /* in the order of the text */
	size_t count;
	size_t cap;
};

/* 0, or -EINVAL / -ENOMEM with "LINE: reason" in `err`. yaml_scan_fini() is due in either case. */
int yaml_scan(const char *text, size_t len, struct yaml_scan *ret, struct err *err) must_check;
void yaml_scan_fini(struct yaml_scan *scan);

/* Line of `path`, or of the nearest path above it; 1 if there is none. */
unsigned yaml_scan_line(const struct yaml_scan *scan, const char *path);
/* Line of the first key called `key` on or after line `from`; `from` if there is none. */
unsigned yaml_scan_key_line(const struct yaml_scan *scan, const char *key, unsigned from);

#endif
