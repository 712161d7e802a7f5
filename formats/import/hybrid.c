/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/import/hybrid.h"

#include <string.h>

uint32_t gla__layer_type(gla__import *im, uint32_t layer, const char *const *words, uint32_t def)
{
    gla__config *c = im->cfg;
    const char *key, *word;

    if (!gla__config_has(c, "layer_types|layers_block_type"))
        return def;
    key = gla__config_key(c, "layer_types.%u|layers_block_type.%u", layer, layer);
    word = gla__config_string(c, key, "");
    if (!strcmp(word, "mamba"))
        word = "linear_attention";
    else if (!strcmp(word, "attention"))
        word = "full_attention";
    for (uint32_t i = 0; words[i]; i++)
        if (!strcmp(word, words[i]))
            return i;
    gla__config_refuse(c, key, *word ? "no such layer in this family" : "a layer without a type");
    return def;
}

void gla__hybrid_blocks(gla__import *im, const char *const *names,
                        uint32_t (*kind_of)(gla__import *im, uint32_t layer),
                        void (*make)(gla__import *im, gla_arch_block *b, uint32_t kind))
{
    uint32_t block[GLA__MAX_KINDS];

    memset(block, 0xff, sizeof(block));
    for (uint32_t i = 0; i < im->n_layers && !im->status; i++) {
        const uint32_t kind = kind_of(im, i);

        if (block[kind] == UINT32_MAX) {
            gla_arch_block *b = gla__block_add(im, names[kind]);

            if (!b)
                return;
            make(im, b, kind);
            block[kind] = gla__block_last(im);
        }
        im->layers[i] = block[kind];
    }
}

void gla__never_tied(gla__import *im)
{
    if (!im->arch->tie_embeddings || !gla__has_tensor(im, false, "lm_head.weight"))
        return;
    gla__note(im, "config.json says tie_word_embeddings, which this family's code does not do: "
                  "taking lm_head.weight");
    im->arch->tie_embeddings = false;
}
