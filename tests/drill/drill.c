/* drill: kills, stops and cuts of real processes, judged by what applications saw and what replicas hold at the end.
 * Runs several drills at a time, each a process of its own with a seed of its own, and adds them up.
 * Exit: 0 every promise was kept, 1 a finding, 2 could not run. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "tests/drill/report.h"
#include "tests/native/lib/tool.h"

#define JOBS_MAX 64u

struct options {
	struct drill_options drill;
	uint64_t seed;
	unsigned drills, kills, jobs; /* no new drill after so many drills or kills; 0: no such bound */
	const char *json, *logs;
};

struct job {
	pid_t pid; /* 0: free */
	char log_path[256];
	struct drill_result *result; /* shared with the drill's process */
};

static const char usage[] =
	"drill [--keep] [--seed N] [--drills N | --kills N] [--jobs N] [--kills-each N] [--json FILE] [--logs DIR] "
	"[--build "
	"DIR]\n"
	"  runs drills from that seed on until so many are done, or so many processes were killed (default 300)\n"
	"  --kills-each: in one drill (8); --logs: what each printed (build/test/drills); --keep: files of good "
	"drills, too\n";

static void parse(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {
		{"seed", required_argument, NULL, 's'},
		{"drills", required_argument, NULL, 'd'},
		{"kills", required_argument, NULL, 'k'},
		{"jobs", required_argument, NULL, 'j'},
		{"kills-each", required_argument, NULL, 'e'},
		{"json", required_argument, NULL, 'o'},
		{"build", required_argument, NULL, 'b'},
		{"logs", required_argument, NULL, 'l'},
		{"keep", no_argument, NULL, 'p'},
		{NULL, 0, NULL, 0},
	};
	const char *texts[128] = {NULL};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == '?')
			tool_die(EXIT_CANNOT, "%s", usage);
		texts[c] = optarg ? optarg : "";
	}
	*ret = (struct options){
		.drill = {.build = texts['b'] ? texts['b'] : "build/release",
			  .kills = texts['e'] ? (unsigned)tool_number(texts['e'], "--kills-each") : 8,
			  .keeps = texts['p'] != NULL},
		.seed = texts['s'] ? tool_number(texts['s'], "--seed") : (uint64_t)time(NULL) % 1000000,
		.drills = texts['d'] ? (unsigned)tool_number(texts['d'], "--drills") : 0,
		.kills = texts['k'] ? (unsigned)tool_number(texts['k'], "--kills") : 0,
		.jobs = texts['j'] ? (unsigned)tool_number(texts['j'], "--jobs") : 2,
		.json = texts['o'],
		.logs = texts['l'] ? texts['l'] : "build/test/drills",
	};
	if (!ret->drills && !ret->kills)
		ret->kills = 300;
	if (optind != argc || ret->jobs == 0 || ret->jobs > JOBS_MAX)
		tool_die(EXIT_CANNOT, "%s", usage);
}

static void *shared_memory(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		tool_die(EXIT_CANNOT, "mmap: %s", strerror(errno));
	return memory;
}

static void job_start(struct job *job, const struct options *options, uint64_t seed)
{
	snprintf(job->log_path, sizeof(job->log_path), "%s/%llu.log", options->logs, (unsigned long long)seed);
	*job->result = (struct drill_result){.seed = seed};
	fflush(stdout);
	job->pid = fork();
	if (job->pid < 0)
		tool_die(EXIT_CANNOT, "fork: %s", strerror(errno));
	if (job->pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!freopen(job->log_path, "we", stdout) || dup2(fileno(stdout), STDERR_FILENO) < 0)
		_exit(EXIT_CANNOT);
	setvbuf(stdout, NULL, _IOLBF, 0);
	drill_run(&options->drill, seed, job->result);
	exit(0);
}

/* The last line is the reason. */
static void print_finding(const struct job *job, const struct options *options)
{
	FILE *log = fopen(job->log_path, "re");
	char line[1024], last[1024] = "?\n";

	while (log && fgets(line, sizeof(line), log))
		memcpy(last, line, sizeof(last));
	if (log)
		fclose(log);
	printf("FAIL: seed %llu: %s  what it did and where its files are: %s\n  replay: %s/tests/drill/drill --seed "
	       "%llu "
	       "--drills 1 --kills-each %u\n",
	       (unsigned long long)job->result->seed, last, job->log_path, options->drill.build,
	       (unsigned long long)job->result->seed, options->drill.kills);
	fflush(stdout);
}

/* False: it could not run, and the next one will not either. */
static bool job_end(struct job *jobs, const struct options *options, struct report *report)
{
	int status = 0;
	pid_t pid = waitpid(-1, &status, 0);

	for (unsigned i = 0; i < options->jobs; i++) {
		struct job *job = &jobs[i];

		if (job->pid != pid)
			continue;
		job->pid = 0;
		job->result->is_good = job->result->is_good && status == 0;
		if (!job->result->is_good)
			print_finding(job, options);
		else if (!options->drill.keeps)
			unlink(job->log_path);
		report_add(report, job->result);
	}
	return !WIFEXITED(status) || WEXITSTATUS(status) != EXIT_CANNOT;
}

static void run_all(const struct options *options, struct report *report)
{
	struct job jobs[JOBS_MAX] = {0};
	struct drill_result *results = shared_memory(JOBS_MAX * sizeof(*results));
	unsigned started = 0, running = 0;
	bool goes_on = true;

	for (unsigned i = 0; i < options->jobs; i++)
		jobs[i].result = &results[i];
	for (;;) {
		/* Those under way will kill as many as a drill does. */
		bool is_enough = !goes_on || (options->drills && started >= options->drills) ||
				 (options->kills && report->kills + running * options->drill.kills >= options->kills);

		for (unsigned i = 0; i < options->jobs && !is_enough; i++)
			if (!jobs[i].pid) {
				job_start(&jobs[i], options, options->seed + started++);
				running++;
				break;
			}
		if (is_enough && running == 0)
			break;
		if (!is_enough && running < options->jobs)
			continue;
		goes_on &= job_end(jobs, options, report);
		running--;
	}
	munmap(results, JOBS_MAX * sizeof(*results));
}

int main(int argc, char **argv)
{
	static struct report report;
	struct options options;
	uint64_t begin_ns = clock_now_ns();

	parse(argc, argv, &options);
	printf("drills from seed %llu on\n", (unsigned long long)options.seed);
	if (mkdir(options.logs, 0755) != 0 && errno != EEXIST)
		tool_die(EXIT_CANNOT, "%s: %s", options.logs, strerror(errno));
	run_all(&options, &report);
	report.seconds = (double)(clock_now_ns() - begin_ns) / 1e9;
	report_print(&report);
	report_write_json(&report, options.json);
	return report.failed ? EXIT_WRONG : 0;
}
