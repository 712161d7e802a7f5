/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_sweep.c - variations of one architecture: mixes, and other linear families
 *
 * Only mixers change.  A layer whose mixer is of the wanted kind already stays as it is; another
 * gets the mixer of the first block of that kind, and keeps its feed-forward, norms and
 * multipliers.
 */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

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
        return cli_error_hint("write it, with its parameters, as the first linear block of the "
                              "file; --mix sweeps any mixer, a plugin's too",
                              "--mixers: '%s' has no usual parameters here; gla, gated_deltanet, "
                              "deltanet, kda, mamba2, hgrn2 and retention have",
                              type);
    st = gla_arch_layer_init(mixer, type, NULL);
    for (const setting *s = settings; s->name && !st; s++)
        st = s->word ? gla_arch_set_string(mixer, s->name, s->word, NULL)
                     : gla_arch_set_number(mixer, s->name, s->value, NULL);
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
    gla_arch *each = NULL;
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
    if (gla_arch_copy(arch, &each, NULL) || gla_arch_set_layers(each, all, p->n, NULL))
        status = cli_error("out of memory");
    else if (gla_describe(each, c->registry, &d, &diag))
        status = cli_fail(&diag);
    for (uint32_t i = p->n; i-- > 0 && !status;) {
        p->kinds[i] = compare_block_kind(d, i);
        if (p->kinds[i] == BLOCK_LINEAR && arch->blocks[i].n_mixers == 1)
            p->linear = i;
        else if (p->kinds[i] == BLOCK_SOFTMAX)
            p->softmax = i;
    }
    gla_description_free(d);
    gla_arch_free(each);
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
    if (!cli_parse_u64(text, &a) || !cli_parse_u64(colon + 1, &b) || a > 4096 || b > 4096)
        return false;
    g = common_divisor((uint32_t)a, (uint32_t)b);
    if (!g)
        return false; /* 0:0 is no mix */
    *linear = (uint32_t)a / g;
    *softmax = (uint32_t)b / g;
    return true;
}

static uint32_t distance(uint32_t n, uint32_t softmax, uint32_t group, uint32_t part)
{
    /* of part/n from softmax/group, in parts of n * group */
    const int64_t d = (int64_t)part * group - (int64_t)softmax * n;

    return (uint32_t)(d < 0 ? -d : d);
}

/* "20:7 and 7:2": the mixes nearest to the wanted one whose groups divide n layers. */
static void nearest_mixes(uint32_t n, uint32_t linear, uint32_t softmax, char *buf, size_t size)
{
    const uint32_t group = linear + softmax;
    uint32_t best = n;

    buf[0] = '\0';
    for (uint32_t pass = 0; pass < 2; pass++) {
        uint32_t found = UINT32_MAX, at = 0;

        /* part of n layers softmax is a mix of its own; coarser ones of the same share are it too,
         * in lowest terms */
        for (uint32_t part = linear ? 0 : 1; part <= (linear ? n - 1 : n); part++) {
            const uint32_t d = distance(n, softmax, group, part);

            if (d < found && part != best && (part || !softmax)) {
                found = d;
                at = part;
            }
        }
        if (found == UINT32_MAX)
            return;
        best = at;
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%u:%u", pass ? " and " : "",
                 (n - at) / common_divisor(n, at), at / common_divisor(n, at));
    }
}

/* A block as blocks[index], but with the mixers of blocks[from]; its index, or n_blocks when out of
 * memory. */
static uint32_t add_block(gla_arch *arch, uint32_t index, uint32_t from)
{
    char name[64];
    const gla_arch_block *source;
    gla_arch_block *made;
    gla_status st = GLA_OK;

    if (snprintf(name, sizeof(name), "%s_with_%s", arch->blocks[index].name,
                 arch->blocks[from].name) >= (int)sizeof(name))
        snprintf(name, sizeof(name), "block%u_with_%u", (unsigned)index, (unsigned)from);
    if (gla_arch_copy_block(arch, &arch->blocks[index], name, &made, NULL))
        return arch->n_blocks;
    source = &arch->blocks[from];
    for (uint32_t i = 0; i < GLA_ARCH_MAX_PARALLEL && !st; i++)
        st = gla_arch_copy_layer(&made->mixers[i], &source->mixers[i], NULL);
    made->n_mixers = source->n_mixers;
    return st ? arch->n_blocks : arch->n_blocks - 1;
}

/* The block of layers[i] with a mixer of the other kind: made once, then found again. */
static gla_status change_kind(gla_arch *arch, const palette *p, uint32_t *layer, block_kind wanted,
                              uint32_t made[256][2])
{
    uint32_t *known = &made[*layer][wanted == BLOCK_SOFTMAX];

    if (p->kinds[*layer] == wanted)
        return GLA_OK;
    if (!*known) {
        const uint32_t from = wanted == BLOCK_SOFTMAX ? p->softmax : p->linear;
        const uint32_t index = add_block(arch, *layer, from);

        if (index == arch->n_blocks)
            return GLA_E_NOMEM;
        *known = index;
    }
    *layer = *known;
    return GLA_OK;
}

static int check_mix(const gla_arch *arch, const palette *p, const char *mix, uint32_t linear,
                     uint32_t softmax, uint32_t n)
{
    const uint32_t group = linear + softmax; /* not 0: parse_mix() */
    char near[64];

    if (linear && p->linear == p->n)
        return cli_error("%s: no block with one recurrent mixer and no KV cache: --mix %s needs "
                         "one to repeat",
                         arch->name, mix);
    if (softmax && p->softmax == p->n)
        return cli_error_hint("add one under blocks:, it need not be used",
                              "%s: no block with softmax attention: --mix %s needs one to repeat",
                              arch->name, mix);
    if (group && n % group == 0)
        return 0;
    nearest_mixes(n, linear, softmax, near, sizeof(near));
    return cli_error("%s: --mix %s comes in groups of %u layers, which do not divide %u layers; "
                     "hint: the nearest that do are %s",
                     arch->name, mix, group, n, near);
}

static int lay_mix(gla_arch *arch, const palette *p, const char *mix, uint32_t linear,
                   uint32_t softmax)
{
    static uint32_t made[256][2];
    uint32_t *layers, n = 0;
    gla_status st = GLA_OK;
    int status;

    for (uint32_t i = 0; i < arch->n_layers; i++) /* without a mixer a layer does not count */
        n += arch->blocks[arch->layers[i]].n_mixers > 0;
    status = check_mix(arch, p, mix, linear, softmax, n);
    if (status)
        return status;
    layers = malloc((arch->n_layers + 1) * sizeof(*layers));
    if (!layers)
        return cli_error("out of memory");
    memset(made, 0, sizeof(made));
    for (uint32_t i = 0, k = 0; i < arch->n_layers && !st; i++) {
        layers[i] = arch->layers[i];
        if (!arch->blocks[layers[i]].n_mixers)
            continue;
        st = change_kind(
            arch, p, &layers[i],
            compare_mix_is_softmax(k++, linear, softmax) ? BLOCK_SOFTMAX : BLOCK_LINEAR, made);
    }
    if (!st)
        st = gla_arch_set_layers(arch, layers, arch->n_layers, NULL);
    free(layers);
    return st ? cli_error("out of memory") : 0;
}

/* ---- sweep ------------------------------------------------------------------- */

typedef struct sweep {
    comparison *c;
    const gla_arch *base;
    const char *source;
    palette palette;
    bool name; /* labels begin with the architecture's */
} sweep;

static bool is_own(const char *mix)
{
    return !strcmp(mix, "own");
}

static void make_label(const sweep *s, const char *mix, const char *mixer, char *buf, size_t size)
{
    const char *parts[] = {s->name && s->base->name ? s->base->name : NULL, mixer,
                           s->name && mix && is_own(mix) ? NULL : mix};

    buf[0] = '\0';
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i])
            snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", buf[0] ? " " : "", parts[i]);
}

/* One point: mix and mixer may be NULL, not both. */
static int add_point(sweep *s, const char *mix, const char *mixer)
{
    gla_arch *arch = NULL;
    uint32_t linear = 1, softmax = 1;
    char label[128];
    int status = 0;

    if (mix && !is_own(mix) && !parse_mix(mix, &linear, &softmax))
        return cli_usage_error("--mix: '%s' is no ratio such as 3:1 (linear:softmax), nor 'own'",
                               mix);
    if (gla_arch_copy(s->base, &arch, NULL))
        return cli_error("out of memory");
    if (!linear)
        mixer = NULL;
    for (uint32_t i = 0; i < s->palette.n && mixer && !status; i++)
        if (s->palette.kinds[i] == BLOCK_LINEAR && arch->blocks[i].n_mixers == 1)
            status = swap_mixer(arch, &arch->blocks[i].mixers[0], mixer);
    if (!status && mixer && s->palette.linear == s->palette.n)
        status = cli_error("%s: no block with a recurrent mixer that --mixers could replace",
                           arch->name);
    if (!status && mix && !is_own(mix))
        status = lay_mix(arch, &s->palette, mix, linear, softmax);
    if (status) {
        gla_arch_free(arch);
        return status;
    }
    make_label(s, mix, mixer, label, sizeof(label));
    return compare_add(s->c, arch, label, s->source, false);
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
        if (first || is_own(word) || !parse_mix(word, &linear, &softmax) || linear)
            status = add_point(s, word, mixer);
    }
    free(copy);
    return status;
}

int compare_add_sweep(comparison *c, const char *path, const char *mix, const char *mixers,
                      bool name)
{
    sweep s = {.c = c, .source = path, .name = name};
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
