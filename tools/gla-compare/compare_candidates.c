/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_candidates.c - model folders and arch.yaml files
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *base_name(const char *path, char *buf, size_t size)
{
    size_t n = strlen(path);
    const char *slash;

    while (n > 1 && path[n - 1] == '/')
        n--;
    snprintf(buf, size, "%.*s", (int)n, path);
    slash = strrchr(buf, '/');
    return slash && slash[1] ? slash + 1 : buf;
}

static bool has_weights(const char *path)
{
    char file[4096];
    struct stat st;

    snprintf(file, sizeof(file), "%s/weights.glaw", path);
    return !stat(file, &st);
}

/* ---- blocks ------------------------------------------------------------------ */

block_kind compare_block_kind(const gla_description *d, uint32_t block)
{
    uint64_t state = 0, kv = 0;

    for (uint32_t i = 0; i < d->n_layers; i++) {
        const gla_layer_info *l = &d->layers[i];

        if (l->block != block || l->role != GLA_LAYER_MIXER)
            continue;
        state += l->state_bytes;
        kv += l->kv_values_per_token;
    }
    return state && kv ? BLOCK_BOTH : kv ? BLOCK_SOFTMAX : state ? BLOCK_LINEAR : BLOCK_PLAIN;
}

const char *compare_kind_name(block_kind kind)
{
    static const char *const names[] = {"neither", "recurrent", "softmax", "both"};

    return names[kind];
}

int compare_describe(comparison *c, candidate *x)
{
    gla_diag diag;

    gla_description_free(x->description);
    if (gla_describe(x->arch, c->registry, &x->description, &diag))
        return cli_fail(&diag);
    free(x->kinds);
    x->kinds = malloc(x->arch->n_layers + 1);
    if (!x->kinds)
        return cli_error("out of memory");
    for (uint32_t i = 0; i < x->arch->n_layers; i++)
        x->kinds[i] = (uint8_t)compare_block_kind(x->description, i);
    return 0;
}

/* ---- adding ------------------------------------------------------------------ */

int compare_add(comparison *c, gla_arch *arch, const char *label, const char *source, bool trained)
{
    candidate *x = &c->items[c->n];
    uint32_t twin = 1;

    if (c->n == MAX_CANDIDATES) {
        gla_arch_free(arch);
        return cli_error("more than %d candidates", MAX_CANDIDATES);
    }
    memset(x, 0, sizeof(*x));
    c->n++;
    x->arch = arch;
    x->trained = trained;
    x->quality.nll = NAN;
    for (uint32_t i = 0; i < MAX_PROBES; i++)
        x->recall[i].gain = NAN;
    for (uint32_t i = 0; i < MAX_CONTEXTS; i++) {
        speed *v = &x->speed[i];

        v->prefill.median = v->decode.median = v->first_token.median = NAN;
        v->prefill_joules.median = v->decode_joules.median = NAN;
    }
    snprintf(x->source, sizeof(x->source), "%s", source);
    snprintf(x->label, sizeof(x->label), "%.48s", label);
    gla_text_clean(x->label);
    for (uint32_t i = 0; i + 1 < c->n; i++)
        if (!strcmp(c->items[i].label, x->label)) {
            snprintf(x->label, sizeof(x->label), "%.48s #%u", label, ++twin);
            gla_text_clean(x->label);
            i = UINT32_MAX; /* the new label may be taken too */
        }
    return compare_describe(c, x);
}

int compare_add_path(comparison *c, const char *path)
{
    const bool trained = has_weights(path);
    gla_arch *arch;
    gla_diag diag;
    char name[4096];

    if (gla_arch_read(path, &arch, &diag))
        return cli_fail(&diag);
    return compare_add(c, arch,
                       trained || !arch->name ? base_name(path, name, sizeof(name)) : arch->name,
                       path, trained);
}

static void free_candidate(candidate *x)
{
    gla_description_free(x->description);
    gla_arch_free(x->arch);
    free(x->kinds);
    free(x->quality.window_sum);
    for (uint32_t i = 0; i < x->quality.n_ablations; i++)
        free(x->quality.ablations[i].window_sum);
    free(x->quality.ablations);
    for (uint32_t i = 0; i < MAX_PROBES; i++)
        free(x->recall[i].gains);
    cli_model_close(&x->open);
}

void compare_free(comparison *c)
{
    for (uint32_t i = 0; i < c->n; i++)
        free_candidate(&c->items[i]);
    gla_registry_free(c->registry);
    free(c->argv);
    memset(c, 0, sizeof(*c));
}
