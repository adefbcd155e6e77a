/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LIVEPATCH_SYMBOL_H
#define _LIVEPATCH_SYMBOL_H

struct klp_ranges;

int __must_check klp_symbol_find(const char *objname, const char *name,
				 unsigned long sympos, unsigned long *addr);
int __must_check klp_symbol_size(unsigned long addr, unsigned long *size);
int __must_check klp_symbol_text(unsigned long addr, struct klp_ranges *ranges);
void klp_symbol_forget(void);

#endif /* _LIVEPATCH_SYMBOL_H */
