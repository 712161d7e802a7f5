/* SPDX-License-Identifier: Apache-2.0
 *
 * words.h - what somebody meant who wrote a word that arch.yaml does not have
 *
 * Names of config.json files, of other toolkits and of papers, other spellings, slips of the hand:
 * for hints, never for reading a file.
 */
#ifndef GLA_FORMATS_ARCH_WORDS_H
#define GLA_FORMATS_ARCH_WORDS_H

#include <stddef.h>

/* The one of ours (n words) that is meant, NULL if none is near.  *how is what else it takes to be
 * what they call so ("activation: gelu" of geglu), or "". */
const char *gla__meant(const char *word, const char *const *ours, size_t n, const char **how);

#endif
