/* exerciser: random verified I/O on a volume through a gateway's shared-memory frontend.
 * Options and the report only; lib/exercise.c does the work. Prints its seed first and a replay command with a finding.
 * Exit: 0 all answers were legal, 1 a finding, 2 could not run. SIGTERM, SIGINT: stop issuing, then verify as usual.
 * SIGUSR1: end at once, with the history of what is in flight. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "tests/native/lib/exercise.h"
#include "tests/native/lib/stamp.h"
#include "tests/native/lib/tool.h"

static volatile int stop;

static void on_signal(int signal)
{
	stop = signal == SIGUSR1 ? EXERCISE_ABANDON : EXERCISE_END;
}

enum option_id {
	SHM = 1,
	SEED,
	DEPTH,
	OPS,
	SECONDS,
	IO,
	MIN,
	MAX,
	SPAN,
	HOT,
	MIX,
	FUA,
	META,
	HISTORY,
	IMAGE,
	INITIAL,
	STALL,
	GATEWAY,
	ERRORS,
	RECORD,
	RATE,
	BUSY,
	NO_FINAL,
	FILL,
	HELP
};

static const struct option long_options[] = {
	{"shm", required_argument, NULL, SHM},
	{"seed", required_argument, NULL, SEED},
	{"depth", required_argument, NULL, DEPTH},
	{"ops", required_argument, NULL, OPS},
	{"seconds", required_argument, NULL, SECONDS},
	{"io-bytes", required_argument, NULL, IO},
	{"min", required_argument, NULL, MIN},
	{"max", required_argument, NULL, MAX},
	{"span", required_argument, NULL, SPAN},
	{"hot", required_argument, NULL, HOT},
	{"mix", required_argument, NULL, MIX},
	{"fua", required_argument, NULL, FUA},
	{"meta", required_argument, NULL, META},
	{"history", required_argument, NULL, HISTORY},
	{"image", required_argument, NULL, IMAGE},
	{"initial", required_argument, NULL, INITIAL},
	{"stall", required_argument, NULL, STALL},
	{"gateway-wait", required_argument, NULL, GATEWAY},
	{"errors-allowed", no_argument, NULL, ERRORS},
	{"rate", required_argument, NULL, RATE},
	{"busy", required_argument, NULL, BUSY},
	{"record-only", no_argument, NULL, RECORD},
	{"no-final", no_argument, NULL, NO_FINAL},
	{"fill", no_argument, NULL, FILL},
	{"help", no_argument, NULL, HELP},
	{NULL, 0, NULL, 0},
};

static const char usage[] =
	"exerciser --shm PATH [--seed N] [--depth N] [--ops N | --seconds S] [--io-bytes N] [--min N] [--max N]\n"
	"  [--span N: stay in the first N bytes] [--hot N: a quarter of the operations there] [--mix R:W:Z:D:F] [--fua "
	"%]\n"
	"  [--meta %] [--history FILE] [--image FILE: the volume at the end] [--initial FILE: what it holds already]\n"
	"  [--stall S] [--gateway-wait S] [--errors-allowed] [--fill: write every block first]\n"
	"  [--rate N: operations a second at most] [--busy %: of the time, as fast as it goes; nothing in the rest]\n"
	"  [--record-only: judge nothing, others wrote the volume too]\n"
	"  [--no-final: do not read the whole volume at the end]\n";

struct arguments {
	struct exercise_options exercise;
	bool no_final, fill;
};

static void parse_workload(int id, const char *value, struct workload_options *workload)
{
	switch (id) {
	case SEED:
		workload->seed = tool_number(value, "--seed") & 0xffffff;
		break;
	case MIN:
		workload->min_bytes = tool_number(value, "--min");
		break;
	case MAX:
		workload->max_bytes = tool_number(value, "--max");
		break;
	case SPAN:
		workload->span_bytes = tool_number(value, "--span");
		break;
	case HOT:
		workload->hot_bytes = tool_number(value, "--hot");
		break;
	case MIX:
		workload_parse_mix(value, workload);
		break;
	case FUA:
		workload->fua_percent = (unsigned)tool_number(value, "--fua");
		break;
	case META:
		workload->meta_percent = (unsigned)tool_number(value, "--meta");
		break;
	default:
		tool_die(EXIT_CANNOT, "%s", usage);
	}
}

static void parse_files(int id, const char *value, struct arguments *arguments)
{
	switch (id) {
	case SHM:
		arguments->exercise.shm_path = value;
		break;
	case HISTORY:
		arguments->exercise.history_path = value;
		break;
	case IMAGE:
		arguments->exercise.image_path = value;
		break;
	case INITIAL:
		arguments->exercise.initial_path = value;
		break;
	case ERRORS:
		arguments->exercise.errors_allowed = true;
		break;
	case RECORD:
		arguments->exercise.record_only = true;
		break;
	case NO_FINAL:
		arguments->no_final = true;
		break;
	case FILL:
		arguments->fill = true;
		break;
	default:
		parse_workload(id, value, &arguments->exercise.workload);
	}
}

static void parse_option(int id, const char *value, struct arguments *arguments)
{
	struct exercise_options *exercise = &arguments->exercise;

	switch (id) {
	case DEPTH:
		exercise->depth = (unsigned)tool_number(value, "--depth");
		break;
	case OPS:
		exercise->ops_max = tool_number(value, "--ops");
		break;
	case SECONDS:
		exercise->seconds = (unsigned)tool_number(value, "--seconds");
		break;
	case RATE:
		exercise->rate = (unsigned)tool_number(value, "--rate");
		break;
	case BUSY:
		exercise->busy_percent = (unsigned)tool_number(value, "--busy");
		break;
	case IO:
		exercise->io_bytes = (uint32_t)tool_number(value, "--io-bytes");
		break;
	case STALL:
		exercise->stall_seconds = (unsigned)tool_number(value, "--stall");
		break;
	case GATEWAY:
		exercise->gateway_seconds = (unsigned)tool_number(value, "--gateway-wait");
		break;
	default:
		parse_files(id, value, arguments);
	}
}

/* The command line again, for the report. */
static char *join(int argc, char **argv)
{
	static char text[2048];
	size_t used = 0;

	for (int i = 0; i < argc && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", argv[i]);
	return text;
}

static void parse(int argc, char **argv, struct arguments *ret)
{
	int id;

	*ret = (struct arguments){.exercise = {.depth = 32,
					       .io_bytes = IO_BYTES_MAX,
					       .stall_seconds = 60,
					       .gateway_seconds = 30,
					       .replay = join(argc, argv)}};
	workload_options_default(&ret->exercise.workload);
	while ((id = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		parse_option(id, optarg, ret);
	if (!ret->exercise.shm_path || optind != argc)
		tool_die(EXIT_CANNOT, "%s", usage);
	if (ret->exercise.depth == 0 || ret->exercise.depth > QUEUE_DEPTH_MAX)
		tool_die(EXIT_CANNOT, "--depth: 1 to %u", QUEUE_DEPTH_MAX);
	if (!ret->exercise.ops_max && !ret->exercise.seconds)
		ret->exercise.seconds = 5;
	if (ret->exercise.workload.max_bytes > ret->exercise.io_bytes)
		ret->exercise.workload.max_bytes = ret->exercise.io_bytes;
}

int main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct arguments arguments;
	struct exercise_totals totals;
	struct exercise *exercise;

	parse(argc, argv, &arguments);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu\n", (unsigned long long)arguments.exercise.workload.seed);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGUSR1, &action, NULL);
	exercise = exercise_new(&arguments.exercise);
	printf("serving\n");
	if (arguments.fill)
		exercise_fill(exercise, &stop);
	exercise_run(exercise, &stop);
	printf("verifying\n");
	if (!arguments.no_final && stop != EXERCISE_ABANDON)
		exercise_verify_all(exercise);
	totals = exercise_totals(exercise);
	printf("ok ops=%llu reads=%llu writes=%llu errors=%llu mib=%llu sectors_checked=%llu gateways=%u "
	       "seconds=%.1f\n",
	       (unsigned long long)totals.ops, (unsigned long long)totals.reads, (unsigned long long)totals.writes,
	       (unsigned long long)totals.errors, (unsigned long long)(totals.bytes >> 20),
	       (unsigned long long)totals.sectors_checked, totals.gateways, totals.seconds);
	exercise_free(exercise);
	return 0;
}
