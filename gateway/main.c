/* lockstep-gateway: serves one replicated volume as a block device.
 * Reads the command line and turns the outcome into an exit code and one last line; gateway.c does the rest. */
#include <stdio.h>

#include "common/failpoint.h"
#include "common/log.h"
#include "common/std_streams.h"
#include "gateway/drivers/gateway.h"
#include "gateway/drivers/opts.h"

#define PROGRAM "lockstep-gateway"

static enum gateway_exit run(const struct opts *opts, struct err *err)
{
	switch (opts->action) {
	case GATEWAY_HELP:
		opts_help(stdout);
		return GATEWAY_EXIT_OK;
	case GATEWAY_VERSION:
		printf(PROGRAM " " LOCKSTEP_VERSION "\n");
		return GATEWAY_EXIT_OK;
	case GATEWAY_DELETE_DEVICE:
		return gateway_delete_device(opts, err);
	case GATEWAY_SERVE:
		break;
	}
	return gateway_serve(opts, err);
}

int main(int argc, char **argv)
{
	struct err err = {0};
	struct opts opts;
	enum gateway_exit code;

	std_streams_open();
	if (opts_parse(argc, argv, &opts, &err)) {
		fprintf(stderr, PROGRAM ": %s\n", err.text);
		return GATEWAY_EXIT_USAGE;
	}
	failpoint_arm();
	log_init(PROGRAM, opts.log_level);
	code = run(&opts, &err);
	/* The last line is the reason: `lockstep volume attach` shows it. */
	if (code != GATEWAY_EXIT_OK)
		fprintf(stderr, PROGRAM ": %s\n", err.text);
	return code;
}
