/* YAML files by schema. Knows libcyaml and its messages, and no key of any file.
 * Start-up and CLI only: blocks and allocates. A file's text is hostile until both passes accepted it. */
#include "common/yaml_file.h"

#include <cyaml/cyaml.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file_io.h"
#include "common/yaml_scan.h"

struct yaml_file {
	char path[PATH_MAX];
	const struct cyaml_schema_value *schema;
	void *data;
	struct yaml_scan scan;
};

/* What libcyaml said: its first line is the reason, the first "(line: N" after it is the innermost place. */
struct complaint {
	char reason[256];
	unsigned line;
};

static void printf_like(3, 0) on_cyaml_log(cyaml_log_t level, void *ctx, const char *format, va_list args)
{
	struct complaint *complaint = ctx;
	char text[256];
	const char *line;

	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	line = strstr(text, "(line: ");
	if (!complaint->reason[0])
		snprintf(complaint->reason, sizeof(complaint->reason), "%s", text);
	else if (line && !complaint->line)
		complaint->line = (unsigned)strtoul(line + strlen("(line: "), NULL, 10);
}

static cyaml_config_t cyaml_setup(struct complaint *complaint)
{
	return (cyaml_config_t){
		.log_fn = on_cyaml_log,
		.log_ctx = complaint,
		.log_level = CYAML_LOG_ERROR,
		.mem_fn = cyaml_mem,
		.flags = CYAML_CFG_STYLE_BLOCK,
	};
}

/* "Load: Unexpected key: sise" -> "unknown key 'sise'", and the line of that very key. */
static int refuse_by_schema(const struct yaml_file *file, struct complaint *complaint, struct err *err)
{
	static const char unknown[] = "Unexpected key: ";
	const char *reason = complaint->reason;
	unsigned line = complaint->line ? complaint->line : 1;

	if (!strncmp(reason, "Load: ", 6))
		reason += 6;
	if (!strncmp(reason, unknown, sizeof(unknown) - 1)) {
		const char *key = reason + sizeof(unknown) - 1;

		return err_set(err, -EINVAL, "%s:%u: unknown key '%s'", file->path,
			       yaml_scan_key_line(&file->scan, key, line), key);
	}
	return err_set(err, -EINVAL, "%s:%u: %s", file->path, line, reason);
}

static int load_by_schema(struct yaml_file *file, const char *text, size_t len, struct err *err)
{
	struct complaint complaint = {.line = 0};
	cyaml_config_t config = cyaml_setup(&complaint);
	cyaml_err_t result;

	result = cyaml_load_data((const uint8_t *)text, len, &config, file->schema, &file->data, NULL);
	if (result == CYAML_ERR_OOM)
		return err_set(err, -ENOMEM, "%s: out of memory", file->path);
	if (result == CYAML_OK && file->data)
		return 0;
	if (!complaint.reason[0])
		snprintf(complaint.reason, sizeof(complaint.reason), "%s",
			 result == CYAML_OK ? "the file is empty" : cyaml_strerror(result));
	return refuse_by_schema(file, &complaint, err);
}

int yaml_file_load(const char *path, const struct cyaml_schema_value *schema, struct yaml_file **ret, struct err *err)
{
	struct yaml_file *file;
	struct err reason;
	char *text;
	size_t len;
	int error;

	error = file_read_all(path, YAML_FILE_BYTES_MAX, &text, &len, err);
	if (error)
		return error;
	file = calloc(1, sizeof(*file));
	if (!file) {
		error = err_set(err, -ENOMEM, "%s: out of memory", path);
		goto out_text;
	}
	snprintf(file->path, sizeof(file->path), "%s", path);
	file->schema = schema;
	error = yaml_scan(text, len, &file->scan, &reason);
	if (error)
		err_set(err, error, "%s:%s", path, reason.text);
	else
		error = load_by_schema(file, text, len, err);
	if (error)
		yaml_file_free(file);
	else
		*ret = file;
out_text:
	free(text);
	return error;
}

void yaml_file_free(struct yaml_file *file)
{
	struct complaint complaint = {.line = 0};
	cyaml_config_t config = cyaml_setup(&complaint);

	if (!file)
		return;
	if (file->data)
		(void)cyaml_free(&config, file->schema, file->data, 0); /* fails only on a NULL config */
	yaml_scan_fini(&file->scan);
	free(file);
}

const void *yaml_file_data(const struct yaml_file *file)
{
	return file->data;
}

int yaml_file_refuse(const struct yaml_file *file, struct err *err, const char *where, const char *format, ...)
{
	char text[ERR_TEXT_MAX + 1];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return err_set(err, -EINVAL, "%s:%u: %s: %s", file->path, yaml_scan_line(&file->scan, where), where, text);
}

/* Comment line and YAML text in one buffer, without the document markers that libcyaml writes. */
static int write_text(const char *path, mode_t mode, const char *comment, const char *yaml, size_t len, struct err *err)
{
	static const char start[] = "---\n", end[] = "...\n";
	char *text;
	int n, error;

	if (len >= 4 && !memcmp(yaml, start, 4)) {
		yaml += 4;
		len -= 4;
	}
	if (len >= 4 && !memcmp(yaml + len - 4, end, 4))
		len -= 4;
	n = asprintf(&text, "%s%s%s%.*s", comment ? "# " : "", comment ? comment : "", comment ? "\n" : "", (int)len,
		     yaml);
	if (n < 0)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	error = file_write_atomic(path, mode, text, (size_t)n, err);
	free(text);
	return error;
}

int yaml_file_save(const char *path, mode_t mode, const char *comment, const struct cyaml_schema_value *schema,
		   const void *data, struct err *err)
{
	struct complaint complaint = {.line = 0};
	cyaml_config_t config = cyaml_setup(&complaint);
	char *yaml = NULL;
	size_t len = 0;
	cyaml_err_t result;
	int error;

	result = cyaml_save_data(&yaml, &len, &config, schema, data, 0);
	if (result != CYAML_OK)
		return err_set(err, result == CYAML_ERR_OOM ? -ENOMEM : -EINVAL, "%s: cannot be written as YAML: %s",
			       path, complaint.reason[0] ? complaint.reason : cyaml_strerror(result));
	if (len > YAML_FILE_BYTES_MAX)
		error = err_set(err, -EFBIG, "%s: longer than %u bytes", path, YAML_FILE_BYTES_MAX);
	else
		error = write_text(path, mode, comment, yaml, len, err);
	free(yaml);
	return error;
}
