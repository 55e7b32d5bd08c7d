/* The configuration file of lockstep-replica: the options' names as YAML keys. Knows the file, not the settings'
 * meaning: every value goes through opts_set(). */
#include <cyaml/cyaml.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/yaml_file.h"
#include "replica-server/drivers/opts.h"

struct file_values {
	char **listen, **data;
	unsigned listen_count, data_count;
	char *threads, *buffer_mib, *io_direct, *busy_poll, *log_level;
};

static const cyaml_schema_value_t word = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char, 1, 4095)};

static const cyaml_schema_field_t fields[] = {
	CYAML_FIELD_SEQUENCE("listen", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, listen, &word, 1,
			     LISTENERS_MAX),
	CYAML_FIELD_SEQUENCE("data", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, data, &word, 1,
			     DATA_ROOTS_MAX),
	CYAML_FIELD_STRING_PTR("threads", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, threads, 1, 15),
	CYAML_FIELD_STRING_PTR("buffer-mib", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, buffer_mib,
			       1, 15),
	CYAML_FIELD_STRING_PTR("io-direct", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, io_direct, 1,
			       15),
	CYAML_FIELD_STRING_PTR("busy-poll", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, busy_poll, 1,
			       15),
	CYAML_FIELD_STRING_PTR("log-level", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct file_values, log_level, 1,
			       15),
	CYAML_FIELD_END,
};

static const cyaml_schema_value_t schema = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct file_values, fields)};

static int set(struct opts *opts, const struct yaml_file *file, const char *name, const char *where, const char *value,
	       struct err *err)
{
	struct err own = {0};

	if (!value || !opts_set(opts, name, value, &own))
		return 0;
	return yaml_file_refuse(file, err, where, "%s", own.text + strlen(name) + strlen(": "));
}

static int set_each(struct opts *opts, const struct yaml_file *file, const char *name, char **values, unsigned count,
		    struct err *err)
{
	int error = 0;

	for (unsigned i = 0; !error && i < count; i++) {
		char where[32];

		(void)snprintf(where, sizeof(where), "%s[%u]", name, i);
		error = set(opts, file, name, where, values[i], err);
	}
	return error;
}

static int apply(struct opts *opts, const struct yaml_file *file, struct err *err)
{
	const struct file_values *values = yaml_file_data(file);
	const struct {
		const char *name, *value;
	} singles[] = {
		{"threads", values->threads},	  {"buffer-mib", values->buffer_mib}, {"io-direct", values->io_direct},
		{"busy-poll", values->busy_poll}, {"log-level", values->log_level},
	};
	int error = set_each(opts, file, "listen", values->listen, values->listen_count, err);

	if (!error)
		error = set_each(opts, file, "data", values->data, values->data_count, err);
	for (unsigned i = 0; !error && i < ARRAY_COUNT(singles); i++)
		error = set(opts, file, singles[i].name, singles[i].name, singles[i].value, err);
	return error;
}

int opts_read_file(struct opts *opts, const char *path, struct err *err)
{
	struct yaml_file *file;
	int error = yaml_file_load(path, &schema, &file, err);

	if (error)
		return -EINVAL;
	error = apply(opts, file, err);
	yaml_file_free(file);
	return error ? -EINVAL : 0;
}
