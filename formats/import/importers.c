/* SPDX-License-Identifier: Apache-2.0
 *
 * importers.c - the list of importers, and one import from config.json to mapping
 */
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/import/gguf_config.h"
#include "formats/weights/gguf.h"

#define XX(name) extern const gla__importer gla__importer_##name;
#include "importers.inc"
#undef XX

static const gla__importer *const importers[] = {
#define XX(name) &gla__importer_##name,
#include "importers.inc"
#undef XX
    NULL};

const gla__importer *gla__importer_get(uint32_t i)
{
    return i < sizeof(importers) / sizeof(importers[0]) ? importers[i] : NULL;
}

const gla__importer *gla__importer_find(const char *model_type)
{
    for (const gla__importer *const *p = importers; *p; p++)
        for (const char *const *type = (*p)->model_types; *type; type++)
            if (!strcmp(*type, model_type))
                return *p;
    return NULL;
}

/* "model_type: "x" is not known; known: bamba, ..., gla, and 12 more" */
static gla_status unknown_type(const char *model_type, const char *name, gla_diag *diag)
{
    const char *all[256];
    char text[sizeof(diag->message) - 80] = "";
    size_t n = 0, told = 0, used = 0;
    const char *nearest;
    gla_status st;

    for (const gla__importer *const *p = importers; *p; p++)
        for (const char *const *type = (*p)->model_types; *type && n < 256; type++)
            all[n++] = *type;
    for (; told < n && used + strlen(all[told]) + 2 < sizeof(text); told++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", told ? ", " : "", all[told]);
    st = gla__fail(diag, GLA_E_UNSUPPORTED, "\"%.40s\" is not known; known: %s and %zu more",
                   model_type, text, n - told);
    nearest = gla__nearest(model_type, all, n);
    if (nearest)
        gla__hint(diag, "did you mean \"%s\"?", nearest);
    gla__at(diag, "model_type");
    gla__at(diag, name);
    return st;
}

static gla_status find_importer(gla__import *im, const char *name, gla_diag *diag)
{
    const char *type = gla__config_string(im->cfg, "model_type", NULL);
    gla_status st = gla__config_status(im->cfg, diag);

    if (st)
        return st;
    if (!type) {
        st =
            gla__fail(diag, GLA_E_UNSUPPORTED, "there is no key model_type: of what family is it?");
        gla__at(diag, name);
        return st;
    }
    im->importer = gla__importer_find(type);
    return im->importer ? GLA_OK : unknown_type(type, name, diag);
}

/* Without memory values are not what they were, and then refused. */
static gla_status check(const gla__import *im, gla_diag *diag)
{
    return im->status ? gla__fail_nomem(diag, "the architecture")
                      : gla__config_status(im->cfg, diag);
}

static gla_status make_arch(gla__import *im, gla_diag *diag)
{
    gla_status st;

    im->arch = gla_arch_new("");
    if (!im->arch)
        return gla__fail_nomem(diag, "the architecture");
    im->arch->family = gla__strdup(im->importer->family);
    if (!im->arch->family)
        return gla__fail_nomem(diag, "the architecture");
    if (gla__config_has(im->cfg, "quantization_config"))
        gla__config_refuse(im->cfg, "quantization_config",
                           "the weights are quantised in a way we cannot read");
    if (im->source && gla__config_has(im->cfg, "quantization"))
        gla__config_refuse(im->cfg, "quantization", "MLX's quantised weights cannot be read");
    im->importer->arch(im);
    if (im->source && gla__is_gguf(im->source))
        gla__gguf_arch(im);
    st = check(im, diag);
    if (st)
        return st;
    return gla_arch_set_layers(im->arch, im->layers, im->n_layers, diag);
}

gla_status gla__import_open(const char *json, size_t size, const char *name,
                            const gla_weights *source, gla__import **out, gla_diag *diag)
{
    gla__import *im = gla__alloc_zero(sizeof(*im));
    gla_status st;

    *out = NULL;
    if (!im)
        return gla__fail_nomem(diag, "an import");
    im->source = source;
    st = gla__config_parse(json, size, name, &im->cfg, diag);
    if (!st)
        st = find_importer(im, name, diag);
    if (!st)
        st = make_arch(im, diag);
    if (!st && source) {
        im->map = gla__mapping_new(source);
        if (!im->map)
            im->status = GLA_E_NOMEM;
        else if (gla__is_gguf(source))
            gla__gguf_tensors(im);
        else
            im->importer->tensors(im);
        st = check(im, diag);
    }
    if (st) {
        gla__import_close(im);
        return st;
    }
    *out = im;
    return GLA_OK;
}

/* Training, generation and bookkeeping: no influence on the logits. */
static const char *const harmless[] = {
    "_*",
    "*dropout*",
    "add_cross_attention",
    "architectures",
    "attn_mode",
    "auto_map",
    "chunk_size_feed_forward",
    "cross_attention_hidden_size",
    "dtype",
    "finetuning_task",
    "fuse_*",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_encoder_decoder",
    "label2id",
    "model_type",
    "output_*",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "quantization_config",
    "rescale_prenorm_residual",
    "return_dict*",
    "sep_token_id",
    "task_specific_params",
    "tie_encoder_decoder",
    "tokenizer_class",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
    "use_l2warp",
};

const char *gla__import_unread(const gla__import *im, uint32_t *cursor)
{
    const char *key;
    bool skip = true;

    while (skip && (key = gla__config_unread(im->cfg, cursor)) != NULL) {
        skip = gla__config_is_null(im->cfg, key);
        for (size_t i = 0; !skip && i < sizeof(harmless) / sizeof(harmless[0]); i++)
            skip = !fnmatch(harmless[i], key, 0);
    }
    return skip ? NULL : key;
}

void gla__import_close(gla__import *im)
{
    if (!im)
        return;
    gla__config_free(im->cfg);
    gla_arch_free(im->arch);
    gla__mapping_free(im->map);
    for (size_t i = 0; i < im->n_notes; i++)
        gla__free(im->notes[i]);
    gla__free(im->notes);
    gla__free(im->layers);
    gla__free(im);
}
