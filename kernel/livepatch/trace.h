/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM livepatch

#if !defined(_LIVEPATCH_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _LIVEPATCH_TRACE_H

#include <linux/tracepoint.h>
#include "switch.h"

TRACE_EVENT(klp_switch,
	    TP_PROTO(const struct klp_switch *sw, int result),
	    TP_ARGS(sw, result),
	    TP_STRUCT__entry(__string(patch, sw->name)
			     __string(op, sw->op)
			     __field(int, result)
			     __field(unsigned int, cpus)
			     __field(unsigned int, tasks)
			     __field(unsigned int, functions)
			     __field(unsigned int, attempts)
			     __field(unsigned int, stops)
			     __field(unsigned int, bursts)
			     __field(unsigned int, held)
			     __field(u64, held_ns)
			     __field(u64, window_ns)
			     __field(u64, callback_ns)
			     __field(u64, total_ns)),
	    TP_fast_assign(__assign_str(patch);
			   __assign_str(op);
			   __entry->result = result;
			   __entry->cpus = sw->stats.nr_cpus;
			   __entry->tasks = sw->stats.nr_tasks;
			   __entry->functions = sw->nr_funcs;
			   __entry->attempts = sw->stats.nr_attempts;
			   __entry->stops = sw->stats.nr_stops;
			   __entry->bursts = sw->stats.nr_bursts;
			   __entry->held = sw->stats.nr_held;
			   __entry->held_ns = sw->stats.held_ns;
			   __entry->window_ns = sw->stats.window_ns;
			   __entry->callback_ns = sw->stats.callback_ns;
			   __entry->total_ns = sw->stats.total_ns;),
	    TP_printk("patch=%s operation=%s result=%d cpus=%u tasks=%u functions=%u attempts=%u stops=%u bursts=%u held=%u held_ns=%llu window_ns=%llu callback_ns=%llu total_ns=%llu",
		      __get_str(patch), __get_str(op), __entry->result,
		      __entry->cpus, __entry->tasks, __entry->functions,
		      __entry->attempts, __entry->stops, __entry->bursts,
		      __entry->held, __entry->held_ns, __entry->window_ns,
		      __entry->callback_ns, __entry->total_ns)
);

#endif /* _LIVEPATCH_TRACE_H */

/* The build adds this directory to where it looks for headers. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
