/* SPDX-License-Identifier: Apache-2.0
 *
 * open.c - what the source of a conversion is
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/sized.h"
#include "convert/conversion.h"
#include "formats/import/gguf_config.h"
#include "formats/import/gguf_tokenizer.h"
#include "formats/weights/gguf.h"

#define MAX_CONFIG (16u << 20)

gla_status gla__convert_options(const gla_convert_options *given, gla_convert_options *o,
                                gla_limits *limits, gla_diag *diag)
{
    gla_status st = gla__read_struct(gla_convert_options, ctx, o, given, diag);

    if (!st)
        st = gla__read_struct(gla_limits, reserved, limits, o->limits, diag);
    o->limits = limits;
    /* a conversion holds one part of a tensor in memory: size is no danger */
    if (!limits->max_bytes)
        limits->max_bytes = UINT64_MAX;
    if (!limits->max_tensors)
        limits->max_tensors = 1u << 20; /* experts */
    if (!limits->max_index_bytes)
        limits->max_index_bytes = 100u << 20;
    return st;
}

void gla__convert_note(const gla_convert_options *o, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!o->note)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    gla_text_clean(text);
    o->note(o->ctx, text);
}

gla_status gla__convert_progress(const gla_convert_options *o, const char *what, uint64_t done,
                                 uint64_t total, gla_diag *diag)
{
    if (o->progress && o->progress(o->ctx, what, done, total))
        return gla__fail(diag, GLA_E_CANCELLED, "cancelled, nothing was written");
    return GLA_OK;
}

/* ---- config.json ------------------------------------------------------------------ */

gla_status gla__convert_read_config(const char *path, char **text, size_t *size, gla_diag *diag)
{
    char *inside = gla__is_dir(path) ? gla__path_join(path, "config.json") : gla__strdup(path);
    gla_status st;

    *text = NULL;
    if (!inside)
        return gla__fail_nomem(diag, "a path");
    st = gla__read_all(inside, MAX_CONFIG, text, size, diag);
    gla__free(inside);
    return st;
}

char *gla__convert_name(const char *path)
{
    size_t end = strlen(path), start;

    while (end > 1 && path[end - 1] == '/')
        end--;
    if (end >= 12 && !strncmp(path + end - 12, "/config.json", 12))
        end -= 12;
    else if (end > 5 && !strncmp(path + end - 5, ".json", 5))
        end -= 5;
    else if (end > 5 && !strncmp(path + end - 5, ".gguf", 5))
        end -= 5;
    if (end > 15 && !strncmp(path + end - 15, "-00001-of-", 10)) /* the first of several parts */
        end -= 15;
    for (start = end; start && path[start - 1] != '/'; start--)
        ;
    if (end - start == 0 || !strncmp(path + start, "config", end - start) ||
        !strncmp(path + start, ".", end - start) || !strncmp(path + start, "..", end - start))
        return gla__strdup("model");
    return gla__strndup(path + start, end - start);
}

static gla_status set_name(gla_arch *arch, const char *path, gla_diag *diag)
{
    char *name = gla__convert_name(path);

    if (!name)
        return gla__fail_nomem(diag, "a name");
    gla_text_clean(name);
    gla__free(arch->name);
    arch->name = name;
    return GLA_OK;
}

static void report_import(const gla_convert_options *o, const gla__import *im)
{
    char keys[320] = "";
    size_t used = 0;
    uint32_t cursor = 0;
    const char *key;

    for (size_t i = 0; i < im->n_notes; i++)
        gla__convert_note(o, "%s", im->notes[i]);
    while ((key = gla__import_unread(im, &cursor)) != NULL && used < sizeof(keys))
        used += (size_t)snprintf(keys + used, sizeof(keys) - used, "%s%s", used ? ", " : "", key);
    if (used)
        gla__convert_note(o, "config.json: keys not looked at: %s", keys);
}

/* ---- registry ------------------------------------------------------------------------ */

static gla_status get_registry(gla_registry *given, gla_registry **out, gla_diag *diag)
{
    gla_status st;

    *out = NULL;
    if (given)
        return GLA_OK;
    st = gla_registry_create(NULL, out, diag);
    return st ? st : gla_registry_load_path(*out, diag);
}

/* ---- sources ------------------------------------------------------------------------- */

static gla_status has(const char *folder, const char *name, bool *found, gla_diag *diag)
{
    char *path = gla__path_join(folder, name);

    *found = path && gla__exists(path);
    gla__free(path);
    return path ? GLA_OK : gla__fail_nomem(diag, "a path");
}

static gla_status open_published(gla__conversion *c)
{
    char *path = gla__path_join(c->src, "config.json");
    gla_status st;

    if (!path)
        return gla__fail_nomem(c->diag, "a path");
    st = gla__convert_read_config(c->src, &c->config, &c->config_size, c->diag);
    if (!st)
        st = gla_weights_open(c->src, &c->limits, &c->weights, c->diag);
    if (!st)
        st = gla__import_open(c->config, c->config_size, path, c->weights, &c->import, c->diag);
    gla__free(path);
    if (st)
        return st;
    c->arch = c->import->arch;
    report_import(&c->options, c->import);
    return set_name(c->arch, c->src, c->diag);
}

static bool is_gguf_file(const char *path)
{
    const size_t n = strlen(path);

    return n > 5 && !strcmp(path + n - 5, ".gguf") && gla__exists(path) && !gla__is_dir(path);
}

/* The tokenizer inside, unless one lies beside the file. */
static gla_status inner_tokenizer(gla__conversion *c)
{
    gla__inner_file *f = &c->inner[0];
    bool beside = false;
    gla_status st = has(c->folder, "tokenizer.json", &beside, c->diag);

    if (st || beside)
        return st;
    f->name = "tokenizer.json";
    st = gla__gguf_tokenizer(c->weights, &f->data, &f->size, c->diag);
    if (!st && !f->data)
        gla__convert_note(&c->options, "there is no tokenizer in the file: put the model's "
                                       "tokenizer.json beside it, or into the folder afterwards");
    return st;
}

/* Names of special tokens and the chat template, unless they lie beside the file. */
static gla_status inner_chat(gla__conversion *c)
{
    gla__inner_file *config = &c->inner[1], *chat = &c->inner[2];
    bool has_config = false, has_chat = false;
    gla__gguf_text text;
    gla_status st = has(c->folder, "tokenizer_config.json", &has_config, c->diag);

    if (!st)
        st = has(c->folder, "chat_template.jinja", &has_chat, c->diag);
    if (st || has_config)
        return st;
    config->name = "tokenizer_config.json";
    st = gla__gguf_tokenizer_config(c->weights, &config->data, &config->size, c->diag);
    if (st || has_chat || !gla__gguf_string(c->weights, "tokenizer.chat_template", &text))
        return st;
    chat->name = "chat_template.jinja";
    chat->size = text.size;
    chat->data = gla__alloc(text.size + 1);
    if (!chat->data)
        return gla__fail_nomem(c->diag, "the chat template");
    memcpy(chat->data, text.data, text.size);
    return GLA_OK;
}

/* The metadata takes the place of config.json. */
static gla_status import_gguf(gla__conversion *c)
{
    gla_status st = gla_weights_open(c->src, &c->limits, &c->weights, c->diag);

    if (st)
        return st;
    st = gla__gguf_config(c->weights, &c->config, &c->config_size, c->diag);
    if (!st)
        st = gla__import_open(c->config, c->config_size, "metadata", c->weights, &c->import,
                              c->diag);
    if (st)
        gla__at(c->diag, c->src);
    return st;
}

static gla_status open_gguf(gla__conversion *c)
{
    const char *slash = strrchr(c->src, '/');
    gla_status st;

    c->folder = slash ? gla__strndup(c->src, (size_t)(slash - c->src) + 1) : gla__strdup(".");
    if (!c->folder)
        return gla__fail_nomem(c->diag, "a path");
    st = import_gguf(c);
    if (st)
        return st;
    c->arch = c->import->arch;
    report_import(&c->options, c->import);
    st = inner_tokenizer(c);
    if (!st)
        st = inner_chat(c);
    if (st) {
        gla__at(c->diag, c->src);
        return st;
    }
    return set_name(c->arch, c->src, c->diag);
}

static gla_status open_model_folder(gla__conversion *c)
{
    gla_status st = gla_arch_read(c->src, &c->arch, c->diag);

    return st ? st : gla_weights_open(c->src, &c->limits, &c->weights, c->diag);
}

static gla_status refuse_source(const char *src, gla_diag *diag)
{
    gla_status st;

    if (!gla__exists(src))
        st = gla__fail(diag, GLA_E_IO, "no such file or folder");
    else if (gla__is_dir(src))
        st = gla__fail(diag, GLA_E_IO, "neither config.json nor arch.yaml is in this folder");
    else {
        st = gla__fail(diag, GLA_E_UNSUPPORTED,
                       "a folder with config.json and the weights is needed");
        gla__hint(diag, "for a config.json alone: gla_convert_config()");
    }
    gla__at(diag, src);
    return st;
}

gla_status gla__convert_open(gla__conversion *c)
{
    gla_status st = get_registry(c->options.registry, &c->registry, c->diag);
    bool is_model = false, is_published = false;

    if (!st)
        st = has(c->src, "arch.yaml", &is_model, c->diag);
    if (!st)
        st = has(c->src, "config.json", &is_published, c->diag);
    if (st)
        return st;
    if (is_model)
        st = open_model_folder(c);
    else if (is_published)
        st = open_published(c);
    else if (is_gguf_file(c->src))
        st = open_gguf(c);
    else
        st = refuse_source(c->src, c->diag);
    if (st)
        return st;
    return gla_describe(c->arch, c->registry ? c->registry : c->options.registry, &c->description,
                        c->diag);
}

void gla__convert_deinit(gla__conversion *c)
{
    for (size_t i = 0; i < c->n_items; i++) {
        gla__free(c->items[i].own);
        gla__free(c->items[i].own_name);
    }
    gla__free(c->items);
    gla_description_free(c->description);
    if (!c->import)
        gla_arch_free(c->arch);
    gla__import_close(c->import);
    gla_weights_free(c->weights);
    gla_registry_free(c->registry);
    for (size_t i = 0; i < sizeof(c->inner) / sizeof(c->inner[0]); i++)
        gla__free(c->inner[i].data);
    gla__free(c->config);
    gla__free(c->folder);
}

/* ---- the architecture alone ------------------------------------------------------------- */

gla_status gla_convert_config(const char *path, gla_arch **out, const gla_convert_options *options,
                              gla_diag *diag)
{
    gla__conversion c = {.src = path, .diag = diag};
    gla_status st = gla__convert_options(options, &c.options, &c.limits, diag);

    *out = NULL;
    if (st)
        return st;
    if (is_gguf_file(path)) {
        st = import_gguf(&c);
    } else {
        st = gla__convert_read_config(path, &c.config, &c.config_size, diag);
        if (!st)
            st = gla__import_open(c.config, c.config_size, path, NULL, &c.import, diag);
    }
    if (!st)
        st = set_name(c.import->arch, path, diag);
    if (!st)
        st = get_registry(c.options.registry, &c.registry, diag);
    if (!st)
        st = gla_describe(c.import->arch, c.registry ? c.registry : c.options.registry,
                          &c.description, diag);
    if (!st) {
        report_import(&c.options, c.import);
        *out = c.import->arch;
        c.import->arch = NULL;
    }
    gla__convert_deinit(&c);
    return st;
}
