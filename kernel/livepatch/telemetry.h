/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_TELEMETRY_H
#define _LIVEPATCH_TELEMETRY_H

struct klp_switch;

void klp_telemetry_switch(const struct klp_switch *sw, int result);
void klp_telemetry_blockers(const struct klp_switch *sw);
void klp_telemetry_log(const struct klp_switch *sw, int err);

#endif /* _LIVEPATCH_TELEMETRY_H */
