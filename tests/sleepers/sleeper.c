// SPDX-License-Identifier: GPL-2.0
/*
 * A process that sleeps in a system call until something happens.
 *
 *   sleeper NAME
 *
 * The process writes to its standard output what the system call returns: EINTR, after
 * which it sleeps again, or "event" if the event has happened that it waits for. Its child
 * makes the event happen when it reads a line from standard input. The system call is made
 * without a library, so no library repeats it.
 */

#define _GNU_SOURCE

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* How long nanosleep() takes, and how much later the process may run, in seconds. */
#define SLEEP		20
#define LATE		2

/* What is written at once: a line, and a number for an eventfd. */
static const char line[8] = "an even\n";

/* The end of the process that sleeps, and of the one that wakes it. */
static int fds[2];
static pid_t waker;

static void check(int ok, const char *what)
{
	if (ok)
		return;

	perror(what);
	exit(1);
}

#define CHECK(call)	check((call) >= 0, #call)

/* System calls that return a file are done when they do. */
static long opened(long fd)
{
	return fd < 0 ? fd : 0;
}

static void prepare_nothing(void)
{
}

static void wake_write(void)
{
	CHECK(write(fds[1], line, sizeof(line)));
}

static long call_read(void)
{
	char buf[4096];

	return syscall(SYS_read, fds[0], buf, sizeof(buf));
}

static long call_recv(void)
{
	char buf[4096];

	return syscall(SYS_recvfrom, fds[0], buf, sizeof(buf), 0, NULL, NULL);
}

static void prepare_pipe(void)
{
	CHECK(pipe(fds));
}

static long call_poll(void)
{
	struct pollfd pollfd = { .fd = fds[0], .events = POLLIN };

	return syscall(SYS_poll, &pollfd, 1, -1);
}

static long call_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	return syscall(SYS_select, fds[0] + 1, &set, NULL, NULL, NULL);
}

static int epoll;

static void prepare_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	prepare_pipe();
	CHECK(epoll = epoll_create1(0));
	CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
}

static long call_epoll_wait(void)
{
	struct epoll_event event;

	return syscall(SYS_epoll_wait, epoll, &event, 1, -1);
}

static void prepare_fifo(void)
{
	CHECK(mkfifo("fifo", 0600));
}

static long call_open_fifo(void)
{
	return opened(syscall(SYS_open, "fifo", O_RDONLY));
}

static void wake_open_fifo(void)
{
	CHECK(open("fifo", O_WRONLY));
}

static void prepare_unix_stream(void)
{
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static void prepare_unix_datagram(void)
{
	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
}

static struct sockaddr_in address = {
	.sin_family = AF_INET,
};

static void prepare_accept(void)
{
	socklen_t size = sizeof(address);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fds[0] = socket(AF_INET, SOCK_STREAM, 0));
	CHECK(bind(fds[0], (struct sockaddr *)&address, size));
	CHECK(listen(fds[0], 1));
	CHECK(getsockname(fds[0], (struct sockaddr *)&address, &size));
	CHECK(fds[1] = socket(AF_INET, SOCK_STREAM, 0));
}

static long call_accept(void)
{
	return opened(syscall(SYS_accept, fds[0], NULL, NULL));
}

static void wake_accept(void)
{
	CHECK(connect(fds[1], (struct sockaddr *)&address, sizeof(address)));
}

static void prepare_tcp(void)
{
	prepare_accept();
	wake_accept();
	CHECK(fds[0] = accept(fds[0], NULL, NULL));
}

static void prepare_tcp_timeout(void)
{
	struct timeval timeout = { .tv_sec = 3600 };

	prepare_tcp();
	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
}

static int *word;

static void prepare_futex(void)
{
	word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(word != MAP_FAILED, "mmap");
}

static long call_futex(void)
{
	return syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void wake_futex(void)
{
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	CHECK(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

static double now(void)
{
	struct timespec now;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &now));
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* What is left is slept after a signal, and no more than that. */
static long call_nanosleep(void)
{
	struct timespec time = { .tv_sec = SLEEP };
	double slept = now();
	long ret;

	ret = syscall(SYS_nanosleep, &time, NULL);
	slept = now() - slept;
	if (!ret && (slept < SLEEP || slept > SLEEP + LATE)) {
		fprintf(stderr, "nanosleep: %f seconds\n", slept);
		return 1;
	}

	return ret;
}

/* Time passes, or the child is gone. */
static void wake_exit(void)
{
}

static long call_wait4(void)
{
	long ret = syscall(SYS_wait4, -1, NULL, 0, NULL);

	return ret == waker ? 0 : ret;
}

static sigset_t usr1;

static void prepare_sigtimedwait(void)
{
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &usr1, NULL));
}

static long call_sigtimedwait(void)
{
	return syscall(SYS_rt_sigtimedwait, &usr1, NULL, NULL, 8);
}

static void wake_sigtimedwait(void)
{
	CHECK(kill(getppid(), SIGUSR1));
}

static void prepare_tty(void)
{
	CHECK(fds[1] = posix_openpt(O_RDWR | O_NOCTTY));
	CHECK(grantpt(fds[1]));
	CHECK(unlockpt(fds[1]));
	CHECK(fds[0] = open(ptsname(fds[1]), O_RDWR | O_NOCTTY));
}

static void prepare_inotify(void)
{
	CHECK(fds[0] = inotify_init());
	CHECK(inotify_add_watch(fds[0], ".", IN_ATTRIB));
}

static void wake_inotify(void)
{
	CHECK(chmod(".", 0755));
}

static void prepare_eventfd(void)
{
	CHECK(fds[0] = eventfd(0, 0));
	fds[1] = fds[0];
}

static void prepare_timerfd(void)
{
	CHECK(fds[0] = timerfd_create(CLOCK_MONOTONIC, 0));
}

static void wake_timerfd(void)
{
	struct itimerspec soon = { .it_value.tv_nsec = 1 };

	CHECK(timerfd_settime(fds[0], 0, &soon, NULL));
}

static int ipc;

static void prepare_msgrcv(void)
{
	CHECK(ipc = msgget(IPC_PRIVATE, 0600));
}

struct message {
	long type;
	char text[sizeof(line)];
};

static long call_msgrcv(void)
{
	struct message message;

	return syscall(SYS_msgrcv, ipc, &message, sizeof(message.text), 0, 0);
}

static void wake_msgrcv(void)
{
	struct message message = { .type = 1 };

	CHECK(msgsnd(ipc, &message, sizeof(message.text), 0));
}

static void prepare_semop(void)
{
	CHECK(ipc = semget(IPC_PRIVATE, 1, 0600));
}

static long call_semop(void)
{
	struct sembuf down = { .sem_op = -1 };

	return syscall(SYS_semop, ipc, &down, 1);
}

static void wake_semop(void)
{
	struct sembuf up = { .sem_op = 1 };

	CHECK(semop(ipc, &up, 1));
}

static void prepare_flock(void)
{
	CHECK(fds[0] = open("lock", O_RDWR | O_CREAT, 0600));
	CHECK(fds[1] = open("lock", O_RDWR));
	CHECK(flock(fds[1], LOCK_EX));
}

static long call_flock(void)
{
	return syscall(SYS_flock, fds[0], LOCK_EX);
}

static void wake_flock(void)
{
	CHECK(flock(fds[1], LOCK_UN));
}

static int ring;
static const struct io_uring_cqe *completion;

/* There is one request: to say when the pipe can be read. */
static void prepare_io_uring(void)
{
	struct io_uring_params params = { };
	struct io_uring_sqe *sqe;
	char *rings;

	prepare_pipe();
	CHECK(ring = syscall(SYS_io_uring_setup, 1, &params));
	rings = mmap(NULL, getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		     IORING_OFF_SQ_RING);
	check(rings != MAP_FAILED && params.features & IORING_FEAT_SINGLE_MMAP, "mmap");
	sqe = mmap(NULL, sizeof(*sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
		   IORING_OFF_SQES);
	check(sqe != MAP_FAILED, "mmap");
	completion = (void *)(rings + params.cq_off.cqes);

	*sqe = (struct io_uring_sqe) {
		.opcode		= IORING_OP_POLL_ADD,
		.fd		= fds[0],
		.poll32_events	= POLLIN,
	};
	*(unsigned int *)(rings + params.sq_off.array) = 0;
	__atomic_store_n((unsigned int *)(rings + params.sq_off.tail), 1,
			 __ATOMIC_RELEASE);
	check(syscall(SYS_io_uring_enter, ring, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
}

static long call_io_uring(void)
{
	long ret = syscall(SYS_io_uring_enter, ring, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0);

	return ret ? ret : completion->res;
}

/*
 * A file system of one file. Opening the file is a request to the child, which does
 * not answer it before there is a line. The wait is interruptible; a signal is
 * passed on to the child, and until the child has answered that the wait is killable.
 */
static int fuse;
static __u64 request;

static void prepare_fuse(void)
{
	char options[64];

	CHECK(close(creat("file", 0600)));
	CHECK(fuse = open("/dev/fuse", O_RDWR));
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=100000,user_id=0,group_id=0", fuse);
	CHECK(mount("sleeper", "file", "fuse", 0, options));
}

static void fuse_answer(__u64 unique, int error, const void *data, size_t size)
{
	struct {
		struct fuse_out_header header;
		char data[256];
	} answer = {
		.header.len	= sizeof(answer.header) + size,
		.header.error	= -error,
		.header.unique	= unique,
	};

	memcpy(answer.data, data, size);
	CHECK(write(fuse, &answer, answer.header.len));
}

static void fuse_serve(void)
{
	const struct fuse_init_out init = {
		.major		= FUSE_KERNEL_VERSION,
		.minor		= FUSE_KERNEL_MINOR_VERSION,
		.max_write	= 4096,
	};
	struct {
		struct fuse_in_header header;
		union {
			struct fuse_interrupt_in interrupt;
			char data[FUSE_MIN_READ_BUFFER];
		};
	} in;

	CHECK(read(fuse, &in, sizeof(in)));
	switch (in.header.opcode) {
	case FUSE_INIT:
		fuse_answer(in.header.unique, 0, &init, sizeof(init));
		break;
	case FUSE_OPEN:
		request = in.header.unique;
		break;
	case FUSE_INTERRUPT:
		fuse_answer(in.interrupt.unique, EINTR, NULL, 0);
		break;
	default:
		fuse_answer(in.header.unique, EIO, NULL, 0);
		break;
	}
}

/* Until there is a line. */
static void serve_fuse(void)
{
	struct pollfd pollfds[] = {
		{ .fd = fuse, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	do {
		CHECK(poll(pollfds, ARRAY_SIZE(pollfds), -1));
		if (pollfds[0].revents)
			fuse_serve();
	} while (pollfds[0].revents || !pollfds[1].revents);
}

static long call_open_fuse(void)
{
	/* The child is the only one that has it. */
	if (fuse >= 0)
		close(fuse);
	fuse = -1;
	return opened(syscall(SYS_open, "file", O_RDONLY));
}

static void wake_open_fuse(void)
{
	const struct fuse_open_out out = { };

	fuse_answer(request, 0, &out, sizeof(out));
	CHECK(umount2("file", MNT_DETACH));
}

static const struct sleeper {
	const char *name;
	void (*prepare)(void);
	long (*call)(void);
	void (*wake)(void);
	/* What the system call returns in the end. */
	long event;
	void (*serve)(void);
} sleepers[] = {
	{ "poll", prepare_pipe, call_poll, wake_write, 1 },
	{ "select", prepare_pipe, call_select, wake_write, 1 },
	{ "epoll_wait", prepare_epoll, call_epoll_wait, wake_write, 1 },
	{ "read-pipe", prepare_pipe, call_read, wake_write, sizeof(line) },
	{ "open-fifo", prepare_fifo, call_open_fifo, wake_open_fifo, 0 },
	{ "recv-unix-stream", prepare_unix_stream, call_recv, wake_write, sizeof(line) },
	{ "recv-unix-datagram", prepare_unix_datagram, call_recv, wake_write, sizeof(line) },
	{ "recv-tcp", prepare_tcp, call_recv, wake_write, sizeof(line) },
	{ "recv-tcp-timeout", prepare_tcp_timeout, call_recv, wake_write, sizeof(line) },
	{ "accept-tcp", prepare_accept, call_accept, wake_accept, 0 },
	{ "futex", prepare_futex, call_futex, wake_futex, 0 },
	{ "nanosleep", prepare_nothing, call_nanosleep, wake_exit, 0 },
	{ "wait4", prepare_nothing, call_wait4, wake_exit, 0 },
	{ "sigtimedwait", prepare_sigtimedwait, call_sigtimedwait, wake_sigtimedwait,
	  SIGUSR1 },
	{ "read-tty", prepare_tty, call_read, wake_write, sizeof(line) },
	{ "read-inotify", prepare_inotify, call_read, wake_inotify,
	  sizeof(struct inotify_event) },
	{ "read-eventfd", prepare_eventfd, call_read, wake_write, sizeof(line) },
	{ "read-timerfd", prepare_timerfd, call_read, wake_timerfd, sizeof(__u64) },
	{ "msgrcv", prepare_msgrcv, call_msgrcv, wake_msgrcv, sizeof(line) },
	{ "semop", prepare_semop, call_semop, wake_semop, 0 },
	{ "flock", prepare_flock, call_flock, wake_flock, 0 },
	{ "io_uring", prepare_io_uring, call_io_uring, wake_write, POLLIN },
	{ "open-fuse", prepare_fuse, call_open_fuse, wake_open_fuse, 0, serve_fuse },
};

static const struct sleeper *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sleepers); i++) {
		if (!strcmp(sleepers[i].name, name))
			return &sleepers[i];
	}

	fprintf(stderr, "sleeper: there is no %s\n", name);
	exit(1);
}

static void say(const char *what)
{
	CHECK(write(STDOUT_FILENO, what, strlen(what)));
}

int main(int argc, char **argv)
{
	const struct sleeper *sleeper = find(argc > 1 ? argv[1] : "");
	char directory[] = "/run/sleeper.XXXXXX";
	char c;
	long ret;

	check(!!mkdtemp(directory), directory);
	CHECK(chdir(directory));
	sleeper->prepare();
	CHECK(waker = fork());
	if (!waker) {
		if (sleeper->serve)
			sleeper->serve();
		/* None comes if the test is over. */
		if (read(STDIN_FILENO, &c, 1) != 1)
			return 1;
		sleeper->wake();
		return 0;
	}

	while ((ret = sleeper->call()) < 0 && errno == EINTR)
		say("EINTR\n");
	if (ret != sleeper->event) {
		fprintf(stderr, "%s: %ld, %s\n", sleeper->name, ret, strerror(errno));
		return 1;
	}

	say("event\n");
	return 0;
}
