/* SPDX-License-Identifier: Apache-2.0
 *
 * form.h - what the reader and the printer of arch.yaml, importers and the builder agree on
 */
#ifndef GLA_FORMATS_ARCH_FORM_H
#define GLA_FORMATS_ARCH_FORM_H

#include <gla/arch.h>
#include <stdbool.h>

#define GLA__ARCH_VERSION       1
#define GLA__ARCH_MAX_LAYERS    4096u
#define GLA__ARCH_MAX_PARAMS    1024u /* of one layer */
#define GLA__ARCH_MAX_NAME      63u   /* bytes of a block's or parameter's name */
#define GLA__ARCH_MAX_VOCAB     (1u << 24)
#define GLA__ARCH_MAX_D_MODEL   (1u << 20)
#define GLA__ARCH_MAX_POSITIONS (1u << 24)

/* Where path is a checkpoint, or a file of one, and not what it should have been: says what to do.
 * True when there was something to say. */
bool gla__arch_hint(const char *path, gla_diag *diag);

extern const char *const gla__norm_at_names[5]; /* by gla_arch_norm_at */

/* Whether an architecture's counts and indices stay within its arrays: a program may have built it.
 */
bool gla__arch_is_sound(const gla_arch *arch);
/* Letters, digits, '_' and '-', not beginning with a digit or '-': what may stand in a pattern. */
bool gla__is_block_name(const char *text, size_t n);
/* Words of letters, digits and '_' joined by dots, none beginning with a digit. */
bool gla__is_param_name(const char *text);

#endif
