/* lockstep-replica: parse, run, exit code. Everything else is drivers/server.c and what it starts. */
#include <stdio.h>

#include "common/err.h"
#include "common/failpoint.h"
#include "common/log.h"
#include "common/payload_checksum.h"
#include "common/std_streams.h"
#include "replica-server/drivers/opts.h"
#include "replica-server/drivers/server.h"

static int run(const struct opts *opts)
{
	struct err err = {0};

	failpoint_arm();
	log_init("lockstep-replica", opts->log_level);
	log_info("event=checksum implementation=%s", payload_checksum_choose());
	if (server_run(opts, &err) == 0)
		return EXIT_FINE;
	log_error("event=not_started reason=\"%s\"", err.text);
	return EXIT_TROUBLE;
}

int main(int argc, char **argv)
{
	struct opts opts;
	struct err err = {0};
	int error, code = EXIT_FINE;

	std_streams_open();
	error = opts_parse(argc, argv, &opts, &err);
	if (error) {
		(void)fprintf(stderr, "lockstep-replica: %s\n", err.text);
		code = EXIT_USAGE;
	} else if (opts.help) {
		opts_usage();
	} else if (opts.version) {
		(void)printf("lockstep-replica %s\n", LOCKSTEP_VERSION);
	} else {
		code = run(&opts);
	}
	opts_fini(&opts);
	return code;
}
