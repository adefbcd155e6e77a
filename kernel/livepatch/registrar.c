// SPDX-License-Identifier: GPL-2.0
/*
 * Record the tasks that call register_kprobe(), to find those that passed its blacklist
 * check before a switch claimed the text.
 *
 * register_kprobe() calls arch_within_kprobe_blacklist(), which refuses a kprobe in claimed
 * text, see kprobe.c. But a task can pass this check before the claim, and add its kprobe
 * after it. The task is inside register_kprobe() all that time. So each task that is
 * checked is recorded, with the number of the current look, or of the last one:
 *
 *   no record         the task has not been checked. When it is, it sees the claim
 *   of this look      the task was checked after the claim, and has seen it
 *   of an older look  the task was checked before the claim. If it is inside
 *                     register_kprobe(), it blocks the switch
 *
 * One lock protects the records and the number. A task is recorded before it reads the
 * claims. The number is incremented after the claims have been made. So a task that reads
 * the claims too early has a record of an older look.
 *
 * When a switch has succeeded, each task with an older record has been seen outside of
 * register_kprobe(), and these records are dropped. If a task finds no free record, every
 * task without a record counts as checked before the claim, until a later switch has
 * succeeded.
 */

#include <linux/jump_label.h>
#include <linux/livepatch.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include "registrar.h"

#define KLP_MAX_REGISTRARS	64

/**
 * struct klp_registrar - a task that has asked whether it may set a kprobe
 * @task:	the task, only to be compared; NULL if the record is free
 * @start_time:	when the task was created: after it, another can have its task_struct
 * @look:	the number of the look
 */
struct klp_registrar {
	const struct task_struct *task;
	u64 start_time;
	unsigned int look;
};

static DEFINE_RAW_SPINLOCK(klp_registrars_lock);
static struct klp_registrar klp_registrars[KLP_MAX_REGISTRARS];

/* The number of the look that is under way, or was the last. */
static unsigned int klp_look_nr;

/* A task found no free record. That was in the look with this number. */
static bool klp_registrars_lost;
static unsigned int klp_registrars_lost_nr;

/* The record of a task, or a free one if @task is NULL. */
static struct klp_registrar *klp_registrar_find(const struct task_struct *task)
{
	struct klp_registrar *registrar;

	lockdep_assert_held(&klp_registrars_lock);

	for (registrar = klp_registrars;
	     registrar < klp_registrars + KLP_MAX_REGISTRARS; registrar++) {
		if (registrar->task == task &&
		    (!task || registrar->start_time == task->start_time))
			return registrar;
	}

	return NULL;
}

/**
 * klp_registrar_asks() - the current task asks whether it may set a kprobe
 *
 * To be called before the claims are read.
 *
 * Context: Any but NMI.
 */
void klp_registrar_asks(void)
{
	struct klp_registrar *registrar;
	unsigned long flags;

	raw_spin_lock_irqsave(&klp_registrars_lock, flags);
	/* What the task asked for before has been settled. */
	registrar = klp_registrar_find(current) ?: klp_registrar_find(NULL);
	if (registrar) {
		registrar->task = current;
		registrar->start_time = current->start_time;
		registrar->look = klp_look_nr;
	} else {
		klp_registrars_lost = true;
		klp_registrars_lost_nr = klp_look_nr;
	}
	raw_spin_unlock_irqrestore(&klp_registrars_lock, flags);
}

/**
 * klp_registrars_begin() - a look begins
 *
 * Context: Process context, may sleep. Takes jump_label_lock(). The text that is
 *	    switched has been claimed.
 */
void klp_registrars_begin(void)
{
	/*
	 * register_kprobe() can ask twice for one probe, with jump_label_mutex held
	 * meanwhile. Whether it has asked for the first time before or after the claims
	 * were made, its record says so: if before, this waits for it.
	 */
	jump_label_lock();
	jump_label_unlock();

	raw_spin_lock_irq(&klp_registrars_lock);
	klp_look_nr++;
	raw_spin_unlock_irq(&klp_registrars_lock);
}

/**
 * klp_registrar_pending() - may a task be about to set a probe in claimed text?
 * @task:	the task
 *
 * Context: Any but NMI, also with a runqueue locked.
 * Return: false if the task has not asked since it last set a probe, or has asked
 *	   since klp_registrars_begin().
 */
bool klp_registrar_pending(const struct task_struct *task)
{
	const struct klp_registrar *registrar;
	unsigned long flags;
	bool pending;

	raw_spin_lock_irqsave(&klp_registrars_lock, flags);
	registrar = klp_registrar_find(task);
	pending = registrar ? registrar->look != klp_look_nr : klp_registrars_lost;
	raw_spin_unlock_irqrestore(&klp_registrars_lock, flags);

	return pending;
}

/**
 * klp_registrars_settled() - each task was seen that asked before the look
 *
 * Context: Process context. A switch has succeeded, and its look has not ended.
 */
void klp_registrars_settled(void)
{
	struct klp_registrar *registrar;

	raw_spin_lock_irq(&klp_registrars_lock);
	for (registrar = klp_registrars;
	     registrar < klp_registrars + KLP_MAX_REGISTRARS; registrar++) {
		if (registrar->look != klp_look_nr)
			registrar->task = NULL;
	}
	if (klp_registrars_lost_nr != klp_look_nr)
		klp_registrars_lost = false;
	raw_spin_unlock_irq(&klp_registrars_lock);
}
