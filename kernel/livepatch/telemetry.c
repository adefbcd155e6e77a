// SPDX-License-Identifier: GPL-2.0
/*
 * Record the cost of switches and the tasks, kprobes and static calls that blocked them:
 *
 *   the kernel log				errors, and the blockers of the last attempt; now
 *						and then the blockers of a background attempt
 *   the tracepoint livepatch:klp_switch	each switch that was made, or whose error is logged
 *   /sys/kernel/debug/livepatch/switches	the last 64 of these, one line each
 *   /sys/kernel/debug/livepatch/blockers	the blockers of the last attempt
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/array_size.h>
#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include "blockers.h"
#include "look.h"
#include "switch.h"
#include "telemetry.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define KLP_MAX_SWITCHES	64

/**
 * struct klp_switched - a switch
 * @patch:	name of the patch
 * @op:		name of the operation
 * @result:	0, or the error
 * @nr_funcs:	how many functions were switched
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
 * struct klp_blocked - what blocked an attempt
 * @patch:	name of the patch
 * @probe:	a kprobe, or 0
 * @pending:	a static call that was being updated, or 0
 * @tasks:	tasks
 */
struct klp_blocked {
	char patch[MODULE_NAME_LEN];
	unsigned long probe;
	unsigned long pending;
	struct klp_blockers tasks;
};

/* The last switches. The n-th is in place n modulo their number. */
static struct klp_switched klp_switched[KLP_MAX_SWITCHES];
static unsigned int klp_nr_switched;
static struct klp_blocked klp_blocked;

/* Protects both. This is not klp_mutex, which is held for as long as an attempt takes. */
static DEFINE_MUTEX(klp_telemetry_mutex);

/**
 * klp_telemetry_switch() - keep what a switch cost
 * @sw:		the switch, after klp_switch_run()
 * @result:	the return value of that
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

/**
 * klp_telemetry_blockers() - keep what blocked an attempt
 * @sw:		the switch, after klp_switch_run() has returned -EBUSY
 *
 * Context: Process context, may sleep.
 */
void klp_telemetry_blockers(const struct klp_switch *sw)
{
	mutex_lock(&klp_telemetry_mutex);
	strscpy(klp_blocked.patch, sw->name);
	klp_blocked.probe = sw->probe;
	klp_blocked.pending = sw->pending;
	klp_blockers_get(&klp_blocked.tasks, klp_look_nr_inside());
	mutex_unlock(&klp_telemetry_mutex);
}

static void klp_log_blocker(const struct klp_blocker *blocker)
{
	unsigned int i;

	pr_warn("'%s': blocked by %s:%d in %pS, a %s that %s\n", klp_blocked.patch,
		blocker->comm, blocker->pid, (void *)blocker->addr,
		blocker->kthread ? "kernel thread" : "task", blocker->does);
	if (blocker->pid == current->pid)
		pr_warn("  this task asks for the switch, so only livepatch.wait=1 can help\n");
	for (i = 0; i < blocker->nr_frames; i++)
		pr_warn("  %pB\n", (void *)blocker->frames[i]);
}

static void klp_log_blockers(void)
{
	const struct klp_blockers *tasks = &klp_blocked.tasks;
	unsigned int i;

	for (i = 0; i < tasks->nr_known; i++)
		klp_log_blocker(&tasks->blocker[i]);
	if (tasks->nr > tasks->nr_known)
		pr_warn("'%s': blocked by %u more tasks\n", klp_blocked.patch,
			tasks->nr - tasks->nr_known);
}

/**
 * klp_telemetry_log() - log why an attempt failed
 * @sw:		the switch, after klp_switch_run(), and klp_telemetry_blockers() if that
 *		has returned -EBUSY
 * @err:	the return value of klp_switch_run(), not 0
 *
 * Context: Process context, may sleep.
 */
void klp_telemetry_log(const struct klp_switch *sw, int err)
{
	mutex_lock(&klp_telemetry_mutex);
	if (sw->changed)
		pr_err("'%s': other code changed the text at %pS\n", sw->name,
		       (void *)sw->changed);
	if (sw->probe)
		pr_warn("'%s': blocked by a kprobe at %pS\n", sw->name,
			(void *)sw->probe);
	if (sw->pending)
		pr_warn("'%s': blocked by a static call at %pS, which is being updated\n",
			sw->name, (void *)sw->pending);
	if (err == -EBUSY && !sw->probe && !sw->pending)
		klp_log_blockers();
	mutex_unlock(&klp_telemetry_mutex);
}

static void klp_show_switched(struct seq_file *m,
			      const struct klp_switched *switched)
{
	const struct klp_switch_stats *stats = &switched->stats;

	seq_printf(m, "%s %s %d %u %u %u %u %u %u %u %llu %llu %llu %llu\n",
		   switched->patch, switched->op, switched->result,
		   stats->nr_cpus, stats->nr_tasks, switched->nr_funcs,
		   stats->nr_attempts, stats->nr_stops, stats->nr_bursts,
		   stats->nr_held, stats->held_ns, stats->window_ns,
		   stats->callback_ns, stats->total_ns);
}

static int switches_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	seq_puts(m, "# patch operation result cpus tasks functions attempts stops bursts held held_ns window_ns callback_ns total_ns\n");

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
	seq_printf(m, "%pS\n", (void *)blocker->addr);

	for (i = 0; i < blocker->nr_frames; i++)
		seq_printf(m, "  %pB\n", (void *)blocker->frames[i]);
}

static int blockers_show(struct seq_file *m, void *unused)
{
	const struct klp_blockers *tasks = &klp_blocked.tasks;
	unsigned int i;

	seq_puts(m, "# patch pid task where\n");

	mutex_lock(&klp_telemetry_mutex);
	if (klp_blocked.probe)
		seq_printf(m, "%s - kprobe %pS\n", klp_blocked.patch,
			   (void *)klp_blocked.probe);
	if (klp_blocked.pending)
		seq_printf(m, "%s - static_call %pS\n", klp_blocked.patch,
			   (void *)klp_blocked.pending);
	for (i = 0; i < tasks->nr_known; i++)
		klp_show_blocker(m, &tasks->blocker[i]);
	if (tasks->nr > tasks->nr_known)
		seq_printf(m, "# and %u more\n", tasks->nr - tasks->nr_known);
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
