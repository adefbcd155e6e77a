// SPDX-License-Identifier: GPL-2.0
/*
 * Keep a virtual machine busy while a patch is switched.
 *
 *   load read THREADS FILE	threads that read a line with a version
 *   load yield THREADS		threads that take turns on one CPU
 *   load filter THREADS	threads in system calls with long filters
 *   load fork PROCESSES	processes whose children make threads and exit
 *   load vfork PROCESSES	processes that wait for a child that sleeps a little
 *   load sleep THREADS		threads that sleep
 *   load crowd THREADS FILE	threads that sleep, and some that read as above
 *   load spin CPU		a thread that stays in user space, on this CPU
 *
 * It runs as the user nobody. It says "ready" when all of it runs, and goes on until
 * its standard input ends, but for no longer than LIFETIME. Its process group is its
 * own.
 *
 * Lines of the standard input are for the reading threads. Each is answered with "ok"
 * when it is in force, or the load is over and has said why:
 *
 *   expect V	each read that begins from now on gets version V, and each thread has
 *		done at least one
 *   change V	a read may get version V as well, but once one has, each that begins
 *		after it does
 *   any	a read may get any version
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY		65534
#define LIFETIME	900
#define STACK_SIZE	(32 * 1024)
#define MAX_READERS	1024
#define CROWD_READERS	16

/* The kernel takes 32768 instructions a thread, and counts four more a filter. */
#define FILTER_LEN	4096
#define NR_FILTERS	7

static const struct timespec millisecond = { .tv_nsec = 1000000 };

#define die(...)	(printf(__VA_ARGS__), end())

/* The processes that were forked go with it. */
static noreturn void end(void)
{
	putchar('\n');
	fflush(stdout);
	kill(0, SIGKILL);
	abort();
}

static void expired(int sig)
{
	kill(0, SIGKILL);
}

/* Nobody is not real-time, even if the caller is. */
static void be_nobody(void)
{
	struct sched_param param = {};

	if (sched_setscheduler(0, SCHED_OTHER, &param))
		die("scheduler: %m");
	if (geteuid())
		return;
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		die("nobody: %m");
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("CPU %d: %m", cpu);
}

/* Threads. They all run when this returns. */

static pthread_barrier_t started;
static void (*thread_body)(long n);

static void *thread(void *arg)
{
	pthread_barrier_wait(&started);
	thread_body((long)arg);
	return NULL;
}

static void create(pthread_t *id, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int err;

	pthread_attr_init(&attr);
	err = pthread_attr_setstacksize(&attr, STACK_SIZE) ?:
	      pthread_create(id, &attr, fn, arg);
	if (err)
		die("a thread: %s", strerror(err));
	pthread_attr_destroy(&attr);
}

static void threads(long nr, void (*body)(long n))
{
	pthread_t id;
	long i;

	thread_body = body;
	pthread_barrier_init(&started, NULL, nr + 1);
	for (i = 0; i < nr; i++)
		create(&id, thread, (void *)i);
	pthread_barrier_wait(&started);
}

static void processes(long nr, void (*body)(void))
{
	pid_t pid;

	while (nr--) {
		pid = fork();
		if (pid < 0)
			die("fork: %m");
		if (!pid)
			body();
	}
}

/* Reading */

static int file;
static long nr_readers;
static atomic_ulong reads[MAX_READERS];

/*
 * A read that begins gets version @now or @next. @now is set to @next by the first
 * thread that gets it.
 */
static atomic_char now = '0', next = '0';
static atomic_bool any;

static void read_body(long n)
{
	char line[8], old, new;
	ssize_t len;

	for (;;) {
		old = now;
		len = pread(file, line, sizeof(line), 0);
		new = next;
		if (len != 2 || line[1] != '\n')
			die("a read returned %zd: %m", len);
		if (line[0] == new)
			now = new;
		else if (line[0] != old && !any)
			die("a read got version %c, not %c or %c", line[0], old, new);
		reads[n]++;
	}
}

static void open_reads(long nr, const char *path)
{
	if (nr > MAX_READERS)
		die("%ld are too many threads", nr);
	file = open(path, O_RDONLY);
	if (file < 0)
		die("%s: %m", path);
	nr_readers = nr;
}

static void do_read(long nr, const char *path)
{
	open_reads(nr, path);
	threads(nr, read_body);
}

/* The second read that ends from now on began from now on. */
static void all_read(void)
{
	static unsigned long before[MAX_READERS];
	long i;

	for (i = 0; i < nr_readers; i++)
		before[i] = reads[i];
	for (i = 0; i < nr_readers; i++) {
		while (reads[i] - before[i] < 2)
			nanosleep(&millisecond, NULL);
	}
}

static void command(const char *line)
{
	char version;

	if (sscanf(line, "expect %c", &version) == 1) {
		next = version;
		now = version;
		all_read();
	} else if (sscanf(line, "change %c", &version) == 1) {
		next = version;
	} else if (!strcmp(line, "any\n")) {
		any = true;
	} else {
		die("what is '%s'?", line);
	}
}

/* The others */

static void yield_body(long n)
{
	for (;;)
		sched_yield();
}

static void do_yield(long nr, const char *arg)
{
	pin(0);
	threads(nr, yield_body);
}

static void filter_body(long n)
{
	for (;;)
		getppid();
}

/*
 * What a filter says must not follow from the number of the system call alone, as it is
 * not asked then; so it calculates.
 */
static void do_filter(long nr, const char *arg)
{
	static struct sock_filter insns[FILTER_LEN];
	struct sock_fprog prog = { .len = FILTER_LEN, .filter = insns };
	int i;

	insns[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						offsetof(struct seccomp_data, nr));
	for (i = 1; i < FILTER_LEN - 1; i++)
		insns[i] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, i);
	insns[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("no new privileges: %m");
	for (i = 0; i < NR_FILTERS; i++) {
		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
			die("a filter: %m");
	}
	threads(nr, filter_body);
}

static void *exiting(void *arg)
{
	return NULL;
}

/* One of the threads has exited when the process does. */
static void fork_body(void)
{
	pthread_t id;
	pid_t pid;

	for (;;) {
		pid = fork();
		if (pid < 0)
			die("fork: %m");
		if (!pid) {
			create(&id, exiting, NULL);
			pthread_join(id, NULL);
			create(&id, exiting, NULL);
			create(&id, exiting, NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void do_fork(long nr, const char *arg)
{
	processes(nr, fork_body);
}

static void vfork_body(void)
{
	pid_t pid;

	for (;;) {
		pid = vfork();
		if (pid < 0)
			die("vfork: %m");
		if (!pid) {
			nanosleep(&millisecond, NULL);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

static void do_vfork(long nr, const char *arg)
{
	processes(nr, vfork_body);
}

static void sleep_body(long n)
{
	for (;;)
		pause();
}

static void do_sleep(long nr, const char *arg)
{
	threads(nr, sleep_body);
}

static void crowd_body(long n)
{
	if (n < CROWD_READERS)
		read_body(n);
	sleep_body(n);
}

static void do_crowd(long nr, const char *path)
{
	open_reads(CROWD_READERS, path);
	threads(nr, crowd_body);
}

static void spin_body(long n)
{
	for (;;)
		asm volatile("pause");
}

/* The thread inherits the CPU, and this one leaves it. */
static void do_spin(long cpu, const char *arg)
{
	cpu_set_t others;

	if (sched_getaffinity(0, sizeof(others), &others))
		die("CPUs: %m");
	CPU_CLR(cpu, &others);
	pin(cpu);
	threads(1, spin_body);
	if (sched_setaffinity(0, sizeof(others), &others))
		die("CPUs: %m");
}

static const struct {
	const char *name;
	void (*start)(long n, const char *arg);
} loads[] = {
	{ "read", do_read },
	{ "yield", do_yield },
	{ "filter", do_filter },
	{ "fork", do_fork },
	{ "vfork", do_vfork },
	{ "sleep", do_sleep },
	{ "crowd", do_crowd },
	{ "spin", do_spin },
};

#define NR_LOADS (sizeof(loads) / sizeof(*loads))

int main(int argc, char **argv)
{
	char line[80];
	size_t i;

	setpgid(0, 0);
	if (getpgrp() != getpid())
		return 1;
	signal(SIGALRM, expired);
	alarm(LIFETIME);
	be_nobody();

	for (i = 0; argc >= 3 && i < NR_LOADS; i++) {
		if (!strcmp(argv[1], loads[i].name))
			break;
	}
	if (argc < 3 || i == NR_LOADS)
		die("load NAME N [FILE]");
	loads[i].start(atol(argv[2]), argv[3]);

	setlinebuf(stdout);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		command(line);
		puts("ok");
	}
	kill(0, SIGKILL);
	return 1;
}
