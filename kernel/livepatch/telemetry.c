// SPDX-License-Identifier: GPL-2.0
/*
 * What switches cost and who was in their way, for those who want to know:
 *
 *   the tracepoint livepatch:klp_switch
 *   /sys/kernel/debug/livepatch/switches   the last switches, a line each
 *   /sys/kernel/debug/livepatch/blockers   who was in the way the last time
 *   /proc/<pid>/patch_state                whether this task is in the way
 *
 * Nothing is put into words before somebody reads it.
 */

#include <linux/array_size.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/livepatch.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include "idle.h"
#include "patch.h"
#include "switch.h"
#include "telemetry.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define KLP_MAX_SWITCHES	64

/**
 * struct klp_switched - what is kept of a switch
 * @patch:	name of the patch
 * @op:		name of the operation
 * @result:	0, or why it failed
 * @nr_funcs:	how many functions
 * @stats:	what it cost
 */
struct klp_switched {
	char patch[MODULE_NAME_LEN];
	const char *op;
	int result;
	unsigned int nr_funcs;
	struct klp_switch_stats stats;
};

/**
 * struct klp_blocked - who was in the way
 * @patch:	name of the patch
 * @probe:	a kprobe that was, or 0
 * @pending:	a static call that was being updated, or 0
 * @lost:	too many tasks ran
 * @nr:		how many tasks, of which the first are in @blockers
 * @blockers:	the tasks
 */
struct klp_blocked {
	char patch[MODULE_NAME_LEN];
	unsigned long probe;
	unsigned long pending;
	bool lost;
	unsigned int nr;
	struct klp_blocker blockers[KLP_MAX_BLOCKERS];
};

/* The last of them are kept, the n-th in place n modulo their number. */
static struct klp_switched klp_switched[KLP_MAX_SWITCHES];
static unsigned int klp_nr_switched;
static struct klp_blocked klp_blocked;

/* Protects them. It is not klp_mutex, which is held as long as a switch takes. */
static DEFINE_MUTEX(klp_telemetry_mutex);

/**
 * klp_telemetry_switch() - keep what a switch was like
 * @sw:		the switch, after klp_switch_run()
 * @result:	what that has returned
 *
 * Context: Process context, may sleep.
 */
void klp_telemetry_switch(const struct klp_switch *sw, int result)
{
	struct klp_switched *switched;

	trace_klp_switch(sw, result);

	mutex_lock(&klp_telemetry_mutex);
	switched = &klp_switched[klp_nr_switched++ % KLP_MAX_SWITCHES];
	strscpy(switched->patch, sw->name);
	switched->op = sw->op;
	switched->result = result;
	switched->nr_funcs = sw->nr_funcs;
	switched->stats = sw->stats;
	mutex_unlock(&klp_telemetry_mutex);
}

/* Those whose patch_state says that they are in the way. Protected by klp_mutex. */
static struct task_struct *klp_stuck[KLP_MAX_BLOCKERS];

/**
 * klp_telemetry_clear_tasks() - nobody is in the way any more
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_telemetry_clear_tasks(void)
{
	unsigned int i;

	lockdep_assert_held(&klp_mutex);

	for (i = 0; i < ARRAY_SIZE(klp_stuck); i++) {
		if (!klp_stuck[i])
			continue;
		WRITE_ONCE(klp_stuck[i]->patch_state, KLP_TRANSITION_IDLE);
		put_task_struct(klp_stuck[i]);
		klp_stuck[i] = NULL;
	}
}

static void klp_set_tasks(const struct klp_idle *idle, int state)
{
	unsigned int i, nr = atomic_read(&idle->nr_blockers);
	struct task_struct *task;

	klp_telemetry_clear_tasks();

	rcu_read_lock();
	for (i = 0; i < min(nr, KLP_MAX_BLOCKERS); i++) {
		/* It may be gone, and have left its number to another. */
		task = find_task_by_pid_ns(idle->blockers[i].pid, &init_pid_ns);
		if (!task || task != idle->blockers[i].task)
			continue;
		klp_stuck[i] = get_task_struct(task);
		WRITE_ONCE(task->patch_state, state);
	}
	rcu_read_unlock();
}

/**
 * klp_telemetry_blockers() - keep who was in the way
 * @sw:		the switch, after klp_switch_run() that failed
 *
 * Tools look at the tasks while a transition waits.
 *
 * Context: Process context, may sleep. Caller holds klp_mutex.
 */
void klp_telemetry_blockers(const struct klp_switch *sw)
{
	const struct klp_idle *idle = &sw->idle;

	lockdep_assert_held(&klp_mutex);

	if (sw->state != KLP_TRANSITION_IDLE)
		klp_set_tasks(idle, sw->state);

	mutex_lock(&klp_telemetry_mutex);
	strscpy(klp_blocked.patch, sw->name);
	klp_blocked.probe = sw->probe;
	klp_blocked.pending = sw->pending;
	klp_blocked.lost = idle->lost;
	klp_blocked.nr = atomic_read(&idle->nr_blockers);
	memcpy(klp_blocked.blockers, idle->blockers, sizeof(idle->blockers));
	mutex_unlock(&klp_telemetry_mutex);
}

static void klp_show_switched(struct seq_file *m,
			      const struct klp_switched *switched)
{
	const struct klp_switch_stats *stats = &switched->stats;

	seq_printf(m, "%s %s %d %u %u %u %u %llu %llu %llu\n", switched->patch,
		   switched->op, switched->result, stats->nr_cpus,
		   stats->nr_tasks, stats->nr_rechecked, switched->nr_funcs,
		   stats->window_ns, stats->callback_ns, stats->total_ns);
}

static int switches_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "# patch operation result cpus tasks rechecked functions window_ns callback_ns total_ns\n");

	mutex_lock(&klp_telemetry_mutex);
	i = klp_nr_switched - min(klp_nr_switched, KLP_MAX_SWITCHES);
	for (; i != klp_nr_switched; i++)
		klp_show_switched(m, &klp_switched[i % KLP_MAX_SWITCHES]);
	mutex_unlock(&klp_telemetry_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(switches);

static void klp_show_blocker(struct seq_file *m,
			     const struct klp_blocker *blocker)
{
	unsigned int i;

	seq_printf(m, "%s %d ", klp_blocked.patch, blocker->pid);
	seq_escape(m, blocker->comm, " \t\n\\");
	seq_putc(m, ' ');
	if (blocker->addr)
		seq_printf(m, "%pS\n", (void *)blocker->addr);
	else
		seq_puts(m, "unreliable\n");

	for (i = 0; i < blocker->nr_frames; i++)
		seq_printf(m, "  %pB\n", (void *)blocker->frames[i]);
}

static int blockers_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "# patch pid task where\n");

	mutex_lock(&klp_telemetry_mutex);
	if (klp_blocked.probe)
		seq_printf(m, "%s - kprobe %pS\n", klp_blocked.patch,
			   (void *)klp_blocked.probe);
	if (klp_blocked.pending)
		seq_printf(m, "%s - static_call %pS\n", klp_blocked.patch,
			   (void *)klp_blocked.pending);
	if (klp_blocked.lost)
		seq_puts(m, "# too many tasks ran\n");
	for (i = 0; i < min(klp_blocked.nr, KLP_MAX_BLOCKERS); i++)
		klp_show_blocker(m, &klp_blocked.blockers[i]);
	if (klp_blocked.nr > KLP_MAX_BLOCKERS)
		seq_printf(m, "# and %u more\n",
			   klp_blocked.nr - KLP_MAX_BLOCKERS);
	mutex_unlock(&klp_telemetry_mutex);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(blockers);

static int __init klp_telemetry_init(void)
{
	struct dentry *dir = debugfs_create_dir("livepatch", NULL);

	debugfs_create_file("switches", 0400, dir, NULL, &switches_fops);
	debugfs_create_file("blockers", 0400, dir, NULL, &blockers_fops);

	return 0;
}
late_initcall(klp_telemetry_init);
