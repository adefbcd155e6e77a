/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_CORE_H
#define _LIVEPATCH_CORE_H

struct module;

int klp_module_refused(const struct module *mod);

#endif /* _LIVEPATCH_CORE_H */
