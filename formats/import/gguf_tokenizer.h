/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_tokenizer.h - the tokenizer inside a gguf file, as the files that Hugging Face publishes
 *
 * Byte-level BPE (tokenizer.ggml.model "gpt2") by the name of its pre-tokenizer, and
 * sentencepiece's BPE ("llama").  Others are refused by name: a tokenizer.json beside the file
 * takes their place.
 */
#ifndef GLA_FORMATS_IMPORT_GGUF_TOKENIZER_H
#define GLA_FORMATS_IMPORT_GGUF_TOKENIZER_H

#include "formats/weights/gguf.h"

/* tokenizer.json, which gla_tokenizer_parse() has been seen to read; gla__free(*json).  *json is
 * NULL when the file has no tokenizer. */
gla_status gla__gguf_tokenizer(const gla_weights *w, char **json, size_t *size, gla_diag *diag);
/* tokenizer_config.json: the names of the special tokens.  As above. */
gla_status gla__gguf_tokenizer_config(const gla_weights *w, char **json, size_t *size,
                                      gla_diag *diag);
/* Every text begins with bos_token_id. */
bool gla__gguf_adds_bos(const gla_weights *w);

#endif
