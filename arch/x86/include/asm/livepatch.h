/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The site: where in a function a redirection is written, and how.
 */
#ifndef _ASM_X86_LIVEPATCH_H
#define _ASM_X86_LIVEPATCH_H

#include <linux/types.h>
#include <asm/text-patching.h>

#define KLP_SITE_SIZE	JMP32_INSN_SIZE

/**
 * struct klp_site - the bytes of a function that a redirection overwrites
 * @addr:	the first of them: after endbr64 and after ftrace's own bytes
 * @orig:	what they are while the function is not redirected
 */
struct klp_site {
	unsigned long addr;
	u8 orig[KLP_SITE_SIZE];
};

/**
 * struct klp_edit - one site, and where the function's entry goes
 * @site:	the site
 * @from:	where it goes now, NULL for the function itself
 * @to:		where it must go, NULL for the function itself
 * @alias:	writable mapping of the first byte of the site
 */
struct klp_edit {
	const struct klp_site *site;
	void *from;
	void *to;
	u8 *alias;
};

const char *klp_site_init(struct klp_site *site, void *func,
			  unsigned long size);
int klp_site_reachable(const struct klp_site *site, void *to);

int __must_check klp_edits_map(struct klp_edit *edits, unsigned int nr);
void klp_edits_unmap(struct klp_edit *edits, unsigned int nr);
int __must_check klp_edits_arm(struct klp_edit *edits, unsigned int nr);
void klp_edits_flip(struct klp_edit *edits, unsigned int nr);
void klp_edits_settle(struct klp_edit *edits, unsigned int nr, bool flipped);

#endif /* _ASM_X86_LIVEPATCH_H */
