// SPDX-License-Identifier: GPL-2.0
/*
 * The threads that are on their way out, so that none hides by leaving the task
 * list.
 *
 * A thread leaves the task list in exit_notify(), or its parent takes it off
 * right after, and then runs on for a while: it can be preempted or sleep there
 * in any function. Tasks RCU has the same problem, and so the kernel has a list
 * for it: do_exit() puts a thread on it with exit_tasks_rcu_start(), just before
 * exit_notify(), and takes it off with exit_tasks_rcu_finish(), when it cannot
 * be preempted any more on its way to the last schedule(). There is one list a
 * CPU, linked through task_struct.
 *
 * The heads of these lists are private to Tasks RCU, but they can be had by
 * going the same way. A thread is added right behind the head of its CPU's list,
 * so as long as nobody else can be added there, the head is what comes before
 * it. And as the heads are a per-CPU variable, one tells where all of them are.
 *
 * Not everything on the lists is a thread. While Tasks RCU scans a list, it puts
 * a mark of its own into it, a bare list_head on the stack of its kthread, and
 * lets go of the lock. Threads are slab objects, which nothing on a stack is.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/init.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include "exiting.h"

/* The heads, or NULL if they were not found. Set once, at boot. */
static struct list_head __percpu *klp_exiting __ro_after_init;

static bool __kprobes klp_is_thread(const struct list_head *node)
{
	return virt_addr_valid(node) && folio_test_slab(virt_to_folio(node));
}

/**
 * klp_exiting_visit() - visit threads that are on their way out
 * @cpu:	the CPU on which they set out, online or not
 * @visit:	called for each of them
 * @data:	passed on
 *
 * Such a thread can still be on the task list as well.
 *
 * Context: Only while all CPUs are stopped, as the lists are changed with
 *	    interrupts off.
 */
void __kprobes klp_exiting_visit(unsigned int cpu,
				 void (*visit)(void *data,
					       struct task_struct *task),
				 void *data)
{
	struct list_head *node;

	list_for_each(node, per_cpu_ptr(klp_exiting, cpu)) {
		if (klp_is_thread(node))
			visit(data, list_entry(node, struct task_struct,
					       rcu_tasks_exit_list));
	}
}

/**
 * klp_exiting_ready() - are the threads on their way out known?
 *
 * Context: Any.
 * Return: true if klp_exiting_visit() can be used.
 */
bool klp_exiting_ready(void)
{
	return klp_exiting;
}

static bool __init klp_is_list_head(const struct list_head *head)
{
	return head->next && head->next->prev == head;
}

static int __init klp_exiting_init(void)
{
	struct list_head __percpu *heads;
	struct list_head *head;
	unsigned int cpu;

	/* With preemption off nobody else begins to exit on this CPU. */
	preempt_disable();
	exit_tasks_rcu_start();
	head = current->rcu_tasks_exit_list.prev;
	cpu = smp_processor_id();
	exit_tasks_rcu_finish();
	preempt_enable();

	if (!is_kernel_percpu_address((unsigned long)head))
		goto err;
	heads = (struct list_head __percpu __force *)
		((unsigned long)head - per_cpu_offset(cpu));
	for_each_possible_cpu(cpu) {
		if (!klp_is_list_head(per_cpu_ptr(heads, cpu)))
			goto err;
	}

	klp_exiting = heads;
	return 0;
err:
	pr_err("the threads that exit cannot be found\n");
	return -ENODEV;
}
early_initcall(klp_exiting_init);
