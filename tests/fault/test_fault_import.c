/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_import.c - memory runs out at every single point of an import: of every checkpoint in
 * tests/reference and tests/data
 *
 * It says so and leaves nothing, or does what it does with memory enough.
 */
#include <criterion/criterion.h>
#include <glob.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/import/gguf_config.h"
#include "formats/import/import.h"
#include "support/failing_memory.h"

/* What is imported, and what came of it. */
typedef struct job {
    const char *path;
    char *config; /* text of config.json */
    size_t size;
    const gla_weights *source; /* NULL: only the architecture */
    char *result, *wanted;     /* malloc()ed */
} job;

/* ---- one import ----------------------------------------------------------------- */

/* "layers.0.ffn.gate_proj.weight: model.layers.0.mlp.gate_proj.weight 0 8192\n" */
static gla_status print_source(gla__import *im, const char *ours, FILE *out, gla_diag *diag)
{
    const gla__mapped *m;
    const gla_status st = gla__mapping_resolve(im->map, ours, &m, diag);

    if (st || !m)
        return st;
    fprintf(out, "%s:", ours);
    for (uint32_t i = 0; i < m->n_pieces; i++)
        fprintf(out, " %s %d %d", m->pieces[i].source, (int)m->pieces[i].first,
                (int)m->pieces[i].count);
    fputc('\n', out);
    return GLA_OK;
}

static gla_status print_mapping(gla__import *im, FILE *out, gla_diag *diag)
{
    static const char *const names[] = {"mixer.q_proj.weight",
                                        "mixer.0.A_log",
                                        "mixer_norm.weight",
                                        "ffn.gate_proj.weight",
                                        "ffn.experts.up_proj.weight",
                                        "mixer.q_conv1d.weight",
                                        "mixer.A_log"};
    gla_status st = print_source(im, "embed.weight", out, diag);

    for (uint32_t i = 0; !st && i < im->n_layers && i < 4; i++)
        for (size_t k = 0; !st && k < sizeof(names) / sizeof(names[0]); k++) {
            char ours[64];

            snprintf(ours, sizeof(ours), "layers.%u.%s", i, names[k]);
            st = print_source(im, ours, out, diag);
        }
    return st;
}

static gla_status print_import(gla__import *im, FILE *out, gla_diag *diag)
{
    uint32_t cursor = 0;
    char *yaml;
    size_t n;
    gla_status st = gla_arch_print(im->arch, &yaml, &n, diag);

    if (st)
        return st;
    fputs(yaml, out);
    gla_text_free(yaml);
    for (const char *key; (key = gla__import_unread(im, &cursor)) != NULL;)
        fprintf(out, "unread: %s\n", key);
    for (size_t i = 0; i < im->n_notes; i++)
        fprintf(out, "note: %s\n", im->notes[i]);
    return im->map ? print_mapping(im, out, diag) : GLA_OK;
}

/* Compares, with memory enough again; the first result is the one wanted. */
static void check_result(job *j)
{
    memory_disarm();
    if (!j->wanted)
        j->wanted = j->result;
    cr_assert_str_eq(j->result, j->wanted, "%s", j->path);
    if (j->result != j->wanted)
        free(j->result);
    j->result = NULL;
}

static gla_status import(void *ctx, gla_diag *diag)
{
    job *j = ctx;
    gla__import *im;
    gla_status st = gla__import_open(j->config, j->size, j->path, j->source, &im, diag);
    FILE *out;
    size_t n;

    if (st)
        return st;
    out = open_memstream(&j->result, &n);
    st = print_import(im, out, diag);
    fclose(out);
    gla__import_close(im);
    if (st)
        free(j->result);
    else
        check_result(j);
    return st;
}

/* ---- again and again --------------------------------------------------------------- */

static void every_allocation(job *j, gla_status (*act)(void *, gla_diag *))
{
    gla_diag diag = {0};

    j->wanted = NULL;
    cr_assert_eq(act(j, &diag), GLA_OK, "%s: %s: %s", j->path, diag.where, diag.message);
    cr_assert_gt(memory_every(j->path, act, j), 20, "%s", j->path);
    free(j->wanted);
}

static char *read_text(const char *path, size_t *n)
{
    gla_diag diag;
    char *text;

    cr_assert_eq(gla__read_all(path, UINT64_MAX, &text, n, &diag), GLA_OK, "%s", path);
    return text;
}

/* act() with every file of the pattern; a folder's weights stand beside its config.json. */
static void every_file(const char *pattern, void (*act)(job *j))
{
    glob_t found;

    memory_take_over();
    gla_set_threads(1); /* the order of allocations is the same each time */
    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        job j = {.path = found.gl_pathv[i]};

        act(&j);
    }
    globfree(&found);
    cr_assert_eq(memory_live(), 0);
    memory_give_back();
}

static void with_folder(job *j)
{
    char folder[512];
    gla_weights *w;
    gla_diag diag;

    snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(j->path, '/') - j->path), j->path);
    cr_assert_eq(gla_weights_open(folder, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    j->source = w;
    j->config = read_text(j->path, &j->size);
    every_allocation(j, import);
    gla__free(j->config);
    gla_weights_free(w);
}

Test(fault_import, of_every_family)
{
    every_file(GLA_SOURCE_DIR "/tests/reference/*/config.json", with_folder);
}

static void with_config(job *j)
{
    j->config = read_text(j->path, &j->size);
    every_allocation(j, import);
    gla__free(j->config);
}

Test(fault_import, of_published_configs)
{
    every_file(GLA_SOURCE_DIR "/tests/data/configs/*.json", with_config);
}

/* The keys of a gguf file as a config: jansson builds it, and fails too. */
static gla_status gguf_config(void *ctx, gla_diag *diag)
{
    job *j = ctx;
    char *text;
    size_t n;
    const gla_status st = gla__gguf_config(j->source, &text, &n, diag);

    if (st)
        return st;
    j->result = strdup(text);
    gla__free(text);
    check_result(j);
    return GLA_OK;
}

static void with_gguf(job *j)
{
    gla_weights *w;
    gla_diag diag;

    cr_assert_eq(gla_weights_open(j->path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    j->source = w;
    memory_take_over_jansson();
    every_allocation(j, gguf_config);
    memory_give_back_jansson();
    cr_assert_eq(gla__gguf_config(w, &j->config, &j->size, &diag), GLA_OK);
    every_allocation(j, import);
    gla__free(j->config);
    gla_weights_free(w);
}

Test(fault_import, of_gguf)
{
    every_file(GLA_SOURCE_DIR "/tests/data/gguf/*.gguf", with_gguf);
}
