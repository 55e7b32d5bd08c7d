/* Names of the exit codes, and how errors of lower layers become one. Knows no command. */
#include "gateway/cli/exit_codes.h"

#include <errno.h>

#include "common/compiler.h"

const char *exit_code_name(enum exit_code code)
{
	static const char *const names[EXIT_CODE_COUNT] = {
		[EXIT_DONE] = "done",
		[EXIT_INTERNAL] = "internal",
		[EXIT_USAGE] = "usage",
		[EXIT_NOT_FOUND] = "not-found",
		[EXIT_EXISTS] = "exists",
		[EXIT_REFUSED] = "refused",
		[EXIT_UNREACHABLE] = "unreachable",
		[EXIT_BUSY] = "busy",
		[EXIT_TIMEOUT] = "timeout",
		[EXIT_NOT_PERMITTED] = "not-permitted",
		[EXIT_BAD_FILE] = "bad-file",
		[EXIT_DAMAGED] = "damaged",
		[EXIT_INTERRUPTED] = "interrupted",
	};

	return (unsigned)code < EXIT_CODE_COUNT ? names[code] : "internal";
}

enum exit_code exit_code_from_errno(int error)
{
	static const struct {
		int error;
		enum exit_code code;
	} table[] = {
		{-ENOENT, EXIT_NOT_FOUND},
		{-ENODEV, EXIT_NOT_FOUND},
		{-EEXIST, EXIT_EXISTS},
		{-EREMOTEIO, EXIT_REFUSED},
		{-ENOSPC, EXIT_REFUSED},
		{-EUSERS, EXIT_REFUSED},
		{-EPROTO, EXIT_REFUSED},
		{-EPROTONOSUPPORT, EXIT_REFUSED},
		{-EBADMSG, EXIT_REFUSED},
		{-ESTALE, EXIT_REFUSED},
		{-EOPNOTSUPP, EXIT_REFUSED},
		{-ECONNREFUSED, EXIT_UNREACHABLE},
		{-ECONNRESET, EXIT_UNREACHABLE},
		{-EPIPE, EXIT_UNREACHABLE},
		{-EHOSTUNREACH, EXIT_UNREACHABLE},
		{-ENETUNREACH, EXIT_UNREACHABLE},
		{-EADDRNOTAVAIL, EXIT_UNREACHABLE},
		{-EBUSY, EXIT_BUSY},
		{-EWOULDBLOCK, EXIT_BUSY},
		{-EADDRINUSE, EXIT_BUSY},
		{-ETIMEDOUT, EXIT_TIMEOUT},
		{-EACCES, EXIT_NOT_PERMITTED},
		{-EPERM, EXIT_NOT_PERMITTED},
		{-EROFS, EXIT_NOT_PERMITTED},
		{-EINVAL, EXIT_BAD_FILE},
		{-EFBIG, EXIT_BAD_FILE},
		{-EISDIR, EXIT_BAD_FILE},
		{-EINTR, EXIT_INTERRUPTED},
	};

	for (unsigned i = 0; i < ARRAY_COUNT(table); i++) {
		if (table[i].error == error)
			return table[i].code;
	}
	return EXIT_INTERNAL;
}
