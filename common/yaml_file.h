/* YAML files with a schema (libcyaml 1.x), loaded whole and saved whole, with "FILE:LINE: " before every complaint.
 *
 * Refused: syntax errors, unknown, missing, duplicate keys, wrong types, values too long, too many entries, anchors and
 * aliases, more than one document, files over YAML_FILE_BYTES_MAX. What a schema cannot say (a uuid, a size) the caller
 * checks and reports with yaml_file_refuse(), which finds the line again.
 * Blocking file system calls: for start-up and the CLI, never for a data thread. */
#ifndef COMMON_YAML_FILE_H
#define COMMON_YAML_FILE_H

#include <sys/types.h>

#include "common/compiler.h"
#include "common/err.h"

#define YAML_FILE_BYTES_MAX (256u * 1024u)

struct cyaml_schema_value; /* <cyaml/cyaml.h> */
struct yaml_file;

/* Loads `path` by `schema`, whose top value must be a CYAML_MAPPING with CYAML_FLAG_POINTER; `schema` is borrowed until
 * yaml_file_free(). 0, or -ENOENT, -EACCES, -EINVAL (content), -EFBIG, -ENOMEM, ... with `err`. */
int yaml_file_load(const char *path, const struct cyaml_schema_value *schema, struct yaml_file **ret, struct err *err)
	must_check;
/* NULL is fine. Ends what yaml_file_data() lent. */
void yaml_file_free(struct yaml_file *file);

/* Lends the loaded top-level struct until yaml_file_free(). */
const void *yaml_file_data(const struct yaml_file *file);

/* Refuses a loaded value: sets "FILE:LINE: WHERE: text" and returns -EINVAL. `where` names the key the way the file
 * nests it: "size", "sets[0].replicas[2].address". An unknown `where` falls back to the nearest key above it. */
int yaml_file_refuse(const struct yaml_file *file, struct err *err, const char *where, const char *format, ...)
	printf_like(4, 5);

/* Writes `data` by `schema` so that after a crash the file is the old one or the new one, whole: a temporary file
 * beside it, fsync, rename, fsync of the directory. `comment` (may be NULL) becomes the first line. 0 or -errno with
 * `err`. */
int yaml_file_save(const char *path, mode_t mode, const char *comment, const struct cyaml_schema_value *schema,
		   const void *data, struct err *err) must_check;

#endif
