/* Small files, whole: read with a bound, written so that a crash leaves the old or the new one. Blocking. */
#ifndef COMMON_FILE_IO_H
#define COMMON_FILE_IO_H

#include <stddef.h>
#include <sys/types.h>

#include "common/compiler.h"
#include "common/err.h"

/* Reads all of the regular file `path`. 0 and `*ret_data` (malloced, the caller frees; a NUL follows the bytes), or
 * -ENOENT, -EACCES, -EISDIR, -EINVAL (not a regular file), -EFBIG (over `max_bytes`), ... with `err`. */
int file_read_all(const char *path, size_t max_bytes, char **ret_data, size_t *ret_len, struct err *err) must_check;

/* Temporary file in the same directory, fsync, rename over `path`, fsync of the directory. */
int file_write_atomic(const char *path, mode_t mode, const void *data, size_t len, struct err *err) must_check;

/* Removes `path` and makes that durable. */
int file_remove(const char *path, struct err *err) must_check;

/* mkdir -p, each new level with `mode`. 0 also when it is there already. */
int directory_make(const char *path, mode_t mode, struct err *err) must_check;

#endif
