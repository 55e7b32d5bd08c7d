/* The volume's file (lockstep-volume(5)): YAML <-> struct volume_spec. The only code that knows its keys.
 * Blocking; used by the CLI and by the gateway before its threads start. */
#ifndef GATEWAY_DRIVERS_VOLUME_FILE_H
#define GATEWAY_DRIVERS_VOLUME_FILE_H

#include <stddef.h>

#include "common/compiler.h"
#include "common/err.h"
#include "gateway/core/volume.h"

#define VOLUME_CONFIG_DIR_DEFAULT "/etc/lockstep"

/* "CONFIG_DIR/volumes/NAME.yaml" into `ret`. `config_dir` NULL: $LOCKSTEP_CONFIG_DIR, else the default.
 * 0, -EINVAL (not a volume name: it could leave the directory), -ENAMETOOLONG. */
int volume_file_path(const char *config_dir, const char *name, char *ret, size_t cap, struct err *err) must_check;

/* Reads and checks everything volume_spec_check() asks for. 0, or a negative errno with "FILE:LINE: object: reason";
 * `*ret` is unspecified on error. -ENOENT: no such volume. */
int volume_file_load(const char *path, struct volume_spec *ret, struct err *err) must_check;

/* Checks `spec` and writes the file, atomically and durably (fsync, rename, fsync of the directory). */
int volume_file_save(const char *path, const struct volume_spec *spec, struct err *err) must_check;

#endif
