// SPDX-License-Identifier: GPL-2.0
/*
 * Run threads that are to be held at the edge of user space.
 *
 *   held tick			a thread that counts how often it was held, and sleeps
 *				for short times
 *   held fork			a process that waits for one child after the other; each
 *				sleeps for some short times
 *   held vfork			the same as tick, in a child that its parent waits for
 *   held leave [COMMAND]	the same as tick, with another thread, which is real-time:
 *				on SIGUSR1 it executes COMMAND, or exits with 7 and takes
 *				the process with it
 *   held trace PID		stop a thread as a tracer does, say "stopped", and let it
 *				go on SIGUSR1
 *
 * What counts has "held N" for a name, where N is how often it was held.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LEFT		7
#define NOT_EXECUTED	127
#define CHILD_SLEEPS	5

static const struct timespec moment = { .tv_nsec = 5000000 };

/* What another process asks for. Blocked in all threads. */
static sigset_t request;

static noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static void wait_for_request(void)
{
	int sig;

	sigwait(&request, &sig);
}

/* How often has this thread gone to sleep? */
static long nr_sleeps(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_THREAD, &usage))
		die("getrusage");
	return usage.ru_nvcsw;
}

static void call_it(int held)
{
	char name[16];

	snprintf(name, sizeof(name), "held %d", held);
	prctl(PR_SET_NAME, name);
}

/*
 * A thread that is held sleeps once more than it wants to. It does so as well if it is
 * stopped, traced or frozen.
 */
static noreturn void tick(void)
{
	long before = nr_sleeps(), now;
	int held = 0;

	call_it(held);
	for (;;) {
		nanosleep(&moment, NULL);
		now = nr_sleeps();
		if (now - before > 1)
			call_it(++held);
		before = now;
	}
}

static void do_tick(char **args)
{
	tick();
}

static noreturn void child(void)
{
	int i;

	for (i = 0; i < CHILD_SLEEPS; i++)
		nanosleep(&moment, NULL);
	_exit(0);
}

static void do_fork(char **args)
{
	pid_t pid;

	for (;;) {
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid)
			child();
		waitpid(pid, NULL, 0);
	}
}

static void do_vfork(char **args)
{
	pid_t pid = vfork();

	if (pid < 0)
		die("vfork");
	if (!pid)
		tick();
	/* The child was killed. */
	tick();
}

static pthread_barrier_t started;

static void *leave(void *args)
{
	struct sched_param param = { .sched_priority = 1 };
	char **command = args;

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		die("scheduler");
	pthread_barrier_wait(&started);
	wait_for_request();
	if (!*command)
		exit(LEFT);
	execvp(*command, command);
	_exit(NOT_EXECUTED);
}

static void do_leave(char **args)
{
	pthread_t id;

	pthread_barrier_init(&started, NULL, 2);
	if (pthread_create(&id, NULL, leave, args))
		die("thread");
	pthread_barrier_wait(&started);
	tick();
}

static void do_trace(char **args)
{
	pid_t pid = *args ? atoi(*args) : 0;
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL))
		die("seize");
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL))
		die("interrupt");
	if (waitpid(pid, &status, __WALL) != pid)
		die("waitpid");
	if (!WIFSTOPPED(status) || status >> 16 != PTRACE_EVENT_STOP) {
		printf("status %x\n", status);
		exit(1);
	}
	puts("stopped");
	fflush(stdout);
	wait_for_request();
	if (ptrace(PTRACE_DETACH, pid, NULL, NULL))
		die("detach");
}

static const struct {
	const char *name;
	void (*run)(char **args);
} modes[] = {
	{ "tick", do_tick },
	{ "fork", do_fork },
	{ "vfork", do_vfork },
	{ "leave", do_leave },
	{ "trace", do_trace },
};

int main(int argc, char **argv)
{
	size_t i;

	sigemptyset(&request);
	sigaddset(&request, SIGUSR1);
	sigprocmask(SIG_BLOCK, &request, NULL);
	/* A page that is read in would count as a sleep. */
	if (mlockall(MCL_CURRENT))
		die("mlockall");

	for (i = 0; argc > 1 && i < sizeof(modes) / sizeof(*modes); i++) {
		if (!strcmp(argv[1], modes[i].name)) {
			modes[i].run(argv + 2);
			return 0;
		}
	}
	fputs("what is to be held?\n", stderr);
	return 1;
}
