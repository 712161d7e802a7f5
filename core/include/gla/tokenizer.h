/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/tokenizer.h - text to token ids and back, from a Hugging Face tokenizer.json
 *
 * Implemented by formats/tokenizer.
 *
 * Byte-level BPE and BPE with byte fallback; normalisers, pre-tokenisers, decoders and added tokens
 * as GPT-2, Qwen, Llama 3 and Mistral use them.  What is not supported is refused by name when the
 * file is opened.  A tokenizer is immutable: any number of threads may use it.
 */
#ifndef GLA_TOKENIZER_H
#define GLA_TOKENIZER_H

#include <gla/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gla_tokenizer gla_tokenizer;

/* path: tokenizer.json, or a folder that holds one. */
GLA_API GLA_NODISCARD gla_status gla_tokenizer_open(const char *path, gla_tokenizer **out,
                                                    gla_diag *diag);
/* The same from memory; `name` stands in messages. */
GLA_API GLA_NODISCARD gla_status gla_tokenizer_parse(const char *json, size_t size,
                                                     const char *name, gla_tokenizer **out,
                                                     gla_diag *diag);
GLA_API void gla_tokenizer_free(gla_tokenizer *tok);

#define GLA_ENCODE_SPECIAL 1u /* add what the post-processor adds (<s>, say) */
#define GLA_ENCODE_PLAIN   2u /* treat special tokens in the text as ordinary text */

#define GLA_DECODE_SKIP_SPECIAL 1u /* leave special tokens out */

/* text: UTF-8 of `size` bytes (GLA_E_INVALID with the offset if it is not).  *ids is allocated,
 * released with gla_ids_free(). */
GLA_API GLA_NODISCARD gla_status gla_tokenizer_encode(const gla_tokenizer *tok, const char *text,
                                                      size_t size, uint32_t flags, int32_t **ids,
                                                      size_t *n, gla_diag *diag);
/* *text is NUL-terminated besides having a size; gla_text_free().  flags: GLA_DECODE_*.  Bytes
 * that are not UTF-8 become U+FFFD; ids that are no token give no text (models
 * have more rows than there are tokens). */
GLA_API GLA_NODISCARD gla_status gla_tokenizer_decode(const gla_tokenizer *tok, const int32_t *ids,
                                                      size_t n, uint32_t flags, char **text,
                                                      size_t *size, gla_diag *diag);

/* Streaming decode: feed ids one by one, get the text that is certain (whole UTF-8 characters).
 * The text is valid until the next call. */
typedef struct gla_detokenizer gla_detokenizer;
GLA_API GLA_NODISCARD gla_status gla_detokenizer_create(const gla_tokenizer *tok, uint32_t flags,
                                                        gla_detokenizer **out, gla_diag *diag);
GLA_API GLA_NODISCARD gla_status gla_detokenizer_next(gla_detokenizer *d, int32_t id,
                                                      const char **text, size_t *size,
                                                      gla_diag *diag);
/* What is left, incomplete characters replaced. */
GLA_API GLA_NODISCARD gla_status gla_detokenizer_end(gla_detokenizer *d, const char **text,
                                                     size_t *size, gla_diag *diag);
GLA_API void gla_detokenizer_free(gla_detokenizer *d);

/* The largest id plus one: ids may have gaps. */
GLA_API uint32_t gla_tokenizer_vocab_size(const gla_tokenizer *tok);
/* -1 if there is no such token. */
GLA_API int32_t gla_tokenizer_id(const gla_tokenizer *tok, const char *token);
/* The token as in the vocabulary; NULL if out of range. */
GLA_API const char *gla_tokenizer_token(const gla_tokenizer *tok, int32_t id);
GLA_API int gla_tokenizer_is_special(const gla_tokenizer *tok, int32_t id);

#ifdef __cplusplus
}
#endif
#endif
