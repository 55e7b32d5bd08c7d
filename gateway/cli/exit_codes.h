/* What `lockstep` exits with: the one list, shown in lockstep(8) and as "code" in JSON errors. Numbers never change. */
#ifndef GATEWAY_CLI_EXIT_CODES_H
#define GATEWAY_CLI_EXIT_CODES_H

enum exit_code {
	EXIT_DONE = 0,
	EXIT_INTERNAL = 1,	/* "internal": anything without a code of its own */
	EXIT_USAGE = 2,		/* "usage": an option, a value or a combination is wrong */
	EXIT_NOT_FOUND = 3,	/* "not-found": no such volume, replica, directory; not attached */
	EXIT_EXISTS = 4,	/* "exists": the name is taken, or already attached */
	EXIT_REFUSED = 5,	/* "refused": a server or gateway said no, with its reason */
	EXIT_UNREACHABLE = 6,	/* "unreachable": does not resolve, does not listen, hung up */
	EXIT_BUSY = 7,		/* "busy": mounted, open, attached, in use by another */
	EXIT_TIMEOUT = 8,	/* "timeout": no answer in time */
	EXIT_NOT_PERMITTED = 9, /* "not-permitted": needs root, or a file's rights forbid it */
	EXIT_BAD_FILE = 10,	/* "bad-file": a configuration file says something wrong, with its line */
	EXIT_DAMAGED = 11,	/* "damaged": `replica check` or `volume verify` found something */
	EXIT_INTERRUPTED = 12,	/* "interrupted": SIGINT or SIGTERM; what had been begun was undone */
	EXIT_CODE_COUNT
};

/* Static text, e.g. "not-found". */
const char *exit_code_name(enum exit_code code);
/* From a negative errno of a file, a socket or a refusal. Never EXIT_DONE. */
enum exit_code exit_code_from_errno(int error);

#endif
