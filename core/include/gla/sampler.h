/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/sampler.h - from logits to the next token
 *
 * Implemented by core/runtime.
 *
 * Deterministic: the same logits, options and seed give the same token on every machine; the random
 * numbers and the exponential are the sampler's own.  The order is temperature, top_k, top_p.
 * Logits that are not finite are never chosen; among equal logits the smaller token comes first.
 *
 * A sampler belongs to one thread at a time.
 */
#ifndef GLA_SAMPLER_H
#define GLA_SAMPLER_H

#include <gla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed but for struct_size: greedy. */
typedef struct gla_sampler_options {
    uint32_t struct_size;
    uint32_t top_k;     /* the so many most probable tokens; 0 = off */
    double temperature; /* 0 = greedy: the first of the largest */
    double top_p; /* the fewest tokens that have this share of the probability; 1 or 0 = off */
    uint64_t seed;
} gla_sampler_options;

typedef struct gla_sampler gla_sampler;

/* options may be NULL: greedy.  GLA_E_INVALID for a temperature below 0 or a top_p outside [0, 1].
 */
GLA_API GLA_NODISCARD gla_status gla_sampler_create(const gla_sampler_options *options,
                                                    uint32_t vocab, gla_sampler **out,
                                                    gla_diag *diag);
GLA_API void gla_sampler_free(gla_sampler *s);
/* logits: [vocab].  GLA_E_INVALID, and no random number used, if no logit is finite. */
GLA_API GLA_NODISCARD gla_status gla_sampler_next(gla_sampler *s, const float *logits,
                                                  int32_t *token, gla_diag *diag);
/* Leaves out the random numbers of the next n tokens.  A text whose every token is drawn after as
 * many numbers as stand before it, gla_session_position() of them, goes on after an interruption, a
 * rewind or in another process as if it had never stopped. */
GLA_API void gla_sampler_skip(gla_sampler *s, uint64_t n);
/* Negative log likelihood of `token` in nats: log sum exp(logits) - logits[token], in double.
 * NaN if the token is outside the vocabulary. */
GLA_API double gla_nll(const float *logits, uint32_t vocab, int32_t token);

#ifdef __cplusplus
}
#endif
#endif
