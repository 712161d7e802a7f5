/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_candidates.c - model folders, arch.yaml files, and sweeps over one architecture
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

static block_kind kind_of(const gla_description *d, uint32_t block)
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

static int describe(comparison *c, candidate *x)
{
    gla_diag diag;

    if (gla_describe(x->arch, c->registry, &x->description, &diag))
        return cli_fail(&diag);
    x->kinds = malloc(x->arch->n_layers + 1);
    if (!x->kinds)
        return cli_error("out of memory");
    for (uint32_t i = 0; i < x->arch->n_layers; i++)
        x->kinds[i] = (uint8_t)kind_of(x->description, i);
    return 0;
}

/* Takes the architecture over, also when it fails. */
static int add(comparison *c, gla_arch *arch, const char *label, const char *source, bool trained)
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
    for (uint32_t i = 0; i < MAX_CONTEXTS; i++)
        x->prefill[i].median = x->decode[i].median = NAN;
    snprintf(x->source, sizeof(x->source), "%s", source);
    snprintf(x->label, sizeof(x->label), "%.48s", label);
    for (uint32_t i = 0; i + 1 < c->n; i++)
        if (!strcmp(c->items[i].label, x->label)) {
            snprintf(x->label, sizeof(x->label), "%.48s #%u", label, ++twin);
            i = UINT32_MAX; /* the new label may be taken too */
        }
    return describe(c, x);
}

int compare_add_path(comparison *c, const char *path)
{
    const bool trained = has_weights(path);
    gla_arch *arch;
    gla_diag diag;
    char name[4096];

    if (gla_arch_read(path, &arch, &diag))
        return cli_fail(&diag);
    return add(c, arch, trained || !arch->name ? base_name(path, name, sizeof(name)) : arch->name,
               path, trained);
}

void compare_free(comparison *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        gla_description_free(c->items[i].description);
        gla_arch_free(c->items[i].arch);
        free(c->items[i].kinds);
        free(c->items[i].quality.window_sum);
        cli_model_close(&c->items[i].open);
    }
    gla_registry_unref(c->registry);
    memset(c, 0, sizeof(*c));
}

/* ---- mixers ------------------------------------------------------------------ */

typedef struct setting {
    const char *name;
    double value;
    const char *word; /* instead of the value */
} setting;

/* d channels of the model; h channels of a head: 128 in models of usual width. */
static uint32_t head_size(uint32_t d)
{
    uint32_t h = d >= 512 ? 128 : 32;

    while (h > 1 && d % h)
        h /= 2;
    return h;
}

/* The parameters under which a family was published, in proportion to the width.  NULL-terminated
 * by name; 0 when the family is not one of these. */
static bool family_settings(const char *type, uint32_t d, setting out[6])
{
    const uint32_t h = head_size(d), half = d / h > 1 ? d / h / 2 : 1;
    const double heads = d / h, wide = half;

    memset(out, 0, 6 * sizeof(*out));
    out[0] = (setting){"heads", heads, NULL};
    if (!strcmp(type, "gla")) {
        out[0].value = wide;
        out[1] = (setting){"expand_k", 0.5, NULL};
        out[2] = (setting){"expand_v", 1, NULL};
    } else if (!strcmp(type, "gated_deltanet") || !strcmp(type, "kda") ||
               !strcmp(type, "deltanet")) {
        out[1] = (setting){"head_k_dim", h, NULL};
        out[2] = (setting){"conv", 4, NULL};
        if (!strcmp(type, "kda"))
            out[3] = (setting){"gate_activation", 0, "sigmoid"};
    } else if (!strcmp(type, "mamba2")) {
        out[0].value = 2.0 * d / (h > 64 ? 64 : h);
        out[1] = (setting){"head_dim", h > 64 ? 64 : h, NULL};
        out[2] = (setting){"state", 128, NULL};
        out[3] = (setting){"conv", 4, NULL};
    } else if (!strcmp(type, "hgrn2")) {
        out[1] = (setting){"f_dim", d, NULL};
    } else if (!strcmp(type, "retention")) {
        out[0].value = wide;
        out[1] = (setting){"k_dim", d, NULL};
        out[2] = (setting){"v_dim", 2.0 * d, NULL};
    } else {
        return false;
    }
    return true;
}

/* Blocks that have this type already keep their parameters. */
static int swap_mixer(gla_arch *arch, gla_arch_layer *mixer, const char *type)
{
    setting settings[6];
    gla_status st;

    if (!strcmp(mixer->type, type))
        return 0;
    if (!family_settings(type, arch->d_model, settings))
        return cli_error("--mixers: '%s' is not known here; gla, gated_deltanet, deltanet, kda, "
                         "mamba2, hgrn2 and retention are",
                         type);
    st = gla_arch_layer_init(mixer, type);
    for (const setting *s = settings; s->name && !st; s++)
        st = s->word ? gla_arch_set_string(mixer, s->name, s->word)
                     : gla_arch_set_number(mixer, s->name, s->value);
    return st ? cli_error("out of memory") : 0;
}

/* ---- mixes ------------------------------------------------------------------- */

/* What the blocks of an architecture are, the unused ones too. */
typedef struct palette {
    block_kind kinds[256];
    uint32_t n, linear, softmax; /* index of the first of each kind; n when there is none */
} palette;

static int read_palette(comparison *c, const gla_arch *arch, palette *p)
{
    uint32_t all[256];
    gla_arch *probe = NULL;
    gla_description *d = NULL;
    gla_diag diag;
    int status = 0;

    memset(p, 0, sizeof(*p));
    if (arch->n_blocks > 256)
        return cli_error("%s: %u different blocks; a sweep takes up to 256", arch->name,
                         arch->n_blocks);
    p->n = p->linear = p->softmax = arch->n_blocks;
    for (uint32_t i = 0; i < p->n; i++)
        all[i] = i;
    if (gla_arch_copy(arch, &probe) || gla_arch_set_layers(probe, all, p->n))
        status = cli_error("out of memory");
    else if (gla_describe(probe, c->registry, &d, &diag))
        status = cli_fail(&diag);
    for (uint32_t i = p->n; i-- > 0 && !status;) {
        p->kinds[i] = kind_of(d, i);
        if (p->kinds[i] == BLOCK_LINEAR && arch->blocks[i].n_mixers == 1)
            p->linear = i;
        else if (p->kinds[i] == BLOCK_SOFTMAX)
            p->softmax = i;
    }
    gla_description_free(d);
    gla_arch_free(probe);
    return status;
}

bool compare_mix_is_softmax(uint32_t i, uint32_t linear, uint32_t softmax)
{
    const uint64_t group = (uint64_t)linear + softmax, k = i % group;

    return (k + 1) * softmax / group > k * softmax / group;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    return b ? common_divisor(b, a % b) : a;
}

/* "3:1" -> 3 and 1, in lowest terms. */
static bool parse_mix(const char *word, uint32_t *linear, uint32_t *softmax)
{
    char text[32], *colon;
    uint64_t a, b;
    uint32_t g;

    snprintf(text, sizeof(text), "%s", word);
    colon = strchr(text, ':');
    if (!colon || strlen(word) >= sizeof(text))
        return false;
    *colon = '\0';
    if (!cli_parse_u64(text, &a) || !cli_parse_u64(colon + 1, &b) || a > 4096 || b > 4096 ||
        a + b == 0)
        return false;
    g = common_divisor((uint32_t)a, (uint32_t)b);
    *linear = (uint32_t)a / g;
    *softmax = (uint32_t)b / g;
    return true;
}

static int lay_mix(gla_arch *arch, const palette *p, const char *mix, uint32_t linear,
                   uint32_t softmax)
{
    const uint32_t n = arch->n_layers, group = linear + softmax;
    uint32_t *layers;
    gla_status st;

    if (linear && p->linear == p->n)
        return cli_error("%s: no block with one recurrent mixer and no KV cache: --mix %s needs "
                         "one to repeat",
                         arch->name, mix);
    if (softmax && p->softmax == p->n)
        return cli_error("%s: no block with softmax attention: --mix %s needs one to repeat; hint: "
                         "add one under blocks:, it need not be used",
                         arch->name, mix);
    if (n % group)
        return cli_error("%s: --mix %s comes in groups of %u layers, which do not divide %u layers",
                         arch->name, mix, group, n);
    layers = malloc((n + 1) * sizeof(*layers));
    if (!layers)
        return cli_error("out of memory");
    for (uint32_t i = 0; i < n; i++)
        layers[i] = compare_mix_is_softmax(i, linear, softmax) ? p->softmax : p->linear;
    st = gla_arch_set_layers(arch, layers, n);
    free(layers);
    return st ? cli_error("out of memory") : 0;
}

/* ---- sweep ------------------------------------------------------------------- */

typedef struct sweep {
    comparison *c;
    const gla_arch *base;
    const char *source;
    palette palette;
} sweep;

/* One point: mix and mixer may be NULL, not both. */
static int add_point(sweep *s, const char *mix, const char *mixer)
{
    gla_arch *arch = NULL;
    uint32_t linear = 1, softmax = 1;
    char label[96];
    int status = 0;

    if (mix && !parse_mix(mix, &linear, &softmax))
        return cli_usage_error("--mix: '%s' is no ratio such as 3:1 (linear:softmax)", mix);
    if (gla_arch_copy(s->base, &arch))
        return cli_error("out of memory");
    if (!linear)
        mixer = NULL;
    for (uint32_t i = 0; i < s->palette.n && mixer && !status; i++)
        if (s->palette.kinds[i] == BLOCK_LINEAR && arch->blocks[i].n_mixers == 1)
            status = swap_mixer(arch, &arch->blocks[i].mixers[0], mixer);
    if (!status && mixer && s->palette.linear == s->palette.n)
        status = cli_error("%s: no block with a recurrent mixer that --mixers could replace",
                           arch->name);
    if (!status && mix)
        status = lay_mix(arch, &s->palette, mix, linear, softmax);
    if (status) {
        gla_arch_free(arch);
        return status;
    }
    snprintf(label, sizeof(label), "%s%s%s", mixer ? mixer : "", mixer && mix ? " " : "",
             mix ? mix : "");
    return add(s->c, arch, label, s->source, false);
}

/* Calls add_point() for each word of mixes, or once with NULL. */
static int add_mixes(sweep *s, const char *mixes, const char *mixer, bool first)
{
    char *copy = mixes ? strdup(mixes) : NULL, *save = NULL;
    int status = 0;

    if (!mixes)
        return add_point(s, NULL, mixer);
    if (!copy)
        return cli_error("out of memory");
    for (char *word = strtok_r(copy, ", ", &save); word && !status;
         word = strtok_r(NULL, ", ", &save)) {
        uint32_t linear = 1, softmax;

        /* without linear layers every family is the same model: it stands once */
        if (first || !parse_mix(word, &linear, &softmax) || linear)
            status = add_point(s, word, mixer);
    }
    free(copy);
    return status;
}

int compare_add_sweep(comparison *c, const char *path, const char *mix, const char *mixers)
{
    sweep s = {.c = c, .source = path};
    gla_arch *arch = NULL;
    gla_diag diag;
    char *copy = mixers ? strdup(mixers) : NULL, *save = NULL;
    const uint32_t before = c->n;
    int status;

    if (mixers && !copy)
        return cli_error("out of memory");
    if (gla_arch_read(path, &arch, &diag)) {
        free(copy);
        return cli_fail(&diag);
    }
    s.base = arch;
    status = read_palette(c, arch, &s.palette);
    if (!status && !mixers)
        status = add_mixes(&s, mix, NULL, true);
    for (char *word = copy ? strtok_r(copy, ", ", &save) : NULL; word && !status;
         word = strtok_r(NULL, ", ", &save))
        status = add_mixes(&s, mix, word, c->n == before);
    if (!status && c->n == before)
        status = cli_usage_error("--mix or --mixers names nothing");
    free(copy);
    gla_arch_free(arch);
    return status;
}
