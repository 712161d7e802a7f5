/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_match.c - widths scaled until candidates have as many parameters, or as much state
 *
 * One kind of width moves, by one factor in all blocks of a candidate; everything else stays:
 *
 *     params   the inner width of the feed-forwards, in steps of 32 (4 where D < 512)
 *     state    the key channels of the recurrent mixers, in steps of 8 a head
 *
 * The goal is what the first candidate has.  Nearest wins; what does not come within the tolerance
 * is refused.
 */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A parameter of a mixer that its state grows with. */
static const struct width {
    const char *type, *parameter;
    bool all_heads;   /* counts the channels of all heads together */
    double share;     /* by default, of D; 0: must be given */
    double otherwise; /* the default when that is no share of D */
} widths[] = {
    {"gla", "k_dim", true, 0.5, 0},
    {"retention", "k_dim", true, 1, 0},
    {"linear_attention", "k_dim", true, 1, 0},
    {"hgrn2", "f_dim", true, 1, 0},
    {"deltanet", "head_k_dim", false, 0, 0},
    {"gated_deltanet", "head_k_dim", false, 0, 0},
    {"kda", "head_k_dim", false, 0, 0},
    {"mamba2", "state", false, 0, 128},
};

enum { STATE_STEP = 8, STEPS = 40, MOST = 16 /* times wider or narrower */ };

typedef struct matching {
    comparison *c;
    bool state; /* else params */
    double goal, tolerance;
} matching;

static double number(const gla_arch_layer *l, const char *name, double otherwise)
{
    const gla_arch_param *p = gla_arch_param_find(l, name);

    return p && p->kind == GLA_ARCH_NUMBER && p->number > 0 ? p->number : otherwise;
}

static bool is_used(const gla_arch *arch, uint32_t block)
{
    for (uint32_t i = 0; i < arch->n_layers; i++)
        if (arch->layers[i] == block)
            return true;
    return false;
}

/* "gla" of "gla.gla/1" and of "gla". */
static const struct width *find_width(const char *type)
{
    const size_t n = strcspn(type, "/");

    for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
        const char *at = !strncmp(type, "gla.", 4) ? type + 4 : type;

        if (!strncmp(at, widths[i].type, n - (size_t)(at - type)) &&
            strlen(widths[i].type) == n - (size_t)(at - type))
            return &widths[i];
    }
    return NULL;
}

static double scaled(double width, double factor, double step)
{
    const double n = floor(width * factor / step + 0.5);

    return step * (n < 1 ? 1 : n);
}

/* Sets the width and notes it in x, once. */
static gla_status move_width(candidate *x, const gla_arch_block *b, gla_arch_layer *l,
                             const char *parameter, double from, double to)
{
    if (from != to && x->n_changes < MAX_CHANGES) {
        change *n = &x->changes[x->n_changes++];

        snprintf(n->block, sizeof(n->block), "%s", b->name);
        snprintf(n->parameter, sizeof(n->parameter), "%s", parameter);
        n->from = from;
        n->to = to;
    }
    return gla_arch_set_number(l, parameter, to, NULL);
}

static gla_status scale_ffn(candidate *x, const gla_arch *arch, gla_arch_block *b, double factor)
{
    static const char *const names[] = {"d_ff", "shared.d_ff"};
    const double step = arch->d_model < 512 ? 4 : 32;
    gla_status st = GLA_OK;

    for (size_t i = 0; i < 2 && b->ffn.type && !st; i++) {
        const double from = number(&b->ffn, names[i], 0);

        if (from > 0)
            st = move_width(x, b, &b->ffn, names[i], from, scaled(from, factor, step));
    }
    return st;
}

static gla_status scale_state(candidate *x, const gla_arch *arch, gla_arch_block *b, double factor)
{
    gla_status st = GLA_OK;

    for (uint32_t i = 0; i < b->n_mixers && !st; i++) {
        gla_arch_layer *l = &b->mixers[i];
        const struct width *w = find_width(l->type);
        const double heads = number(l, "heads", 4);
        double from;

        if (!w)
            continue;
        from = number(l, w->parameter, w->share > 0 ? w->share * arch->d_model : w->otherwise);
        if (!strcmp(w->type, "gla"))
            from = number(l, w->parameter, number(l, "expand_k", 0.5) * arch->d_model);
        /* what follows the key channels by default stays what it was */
        if (!strcmp(w->parameter, "head_k_dim") && !gla_arch_param_find(l, "head_v_dim"))
            st = gla_arch_set_number(l, "head_v_dim", from, NULL);
        if (!st)
            st = move_width(x, b, l, w->parameter, from,
                            scaled(from, factor, w->all_heads ? STATE_STEP * heads : STATE_STEP));
    }
    return st;
}

/* x becomes `base` with its widths times factor; 0: as they are. */
static int apply(const matching *m, candidate *x, const gla_arch *base, double factor)
{
    gla_arch *arch;
    gla_status st = gla_arch_copy(base, &arch, NULL);

    x->n_changes = 0;
    for (uint32_t i = 0; !st && factor > 0 && i < arch->n_blocks; i++)
        if (is_used(arch, i))
            st = m->state ? scale_state(x, arch, &arch->blocks[i], factor)
                          : scale_ffn(x, arch, &arch->blocks[i], factor);
    if (st) {
        gla_arch_free(arch);
        return cli_error("out of memory");
    }
    gla_arch_free(x->arch);
    x->arch = arch;
    return compare_describe(m->c, x);
}

static double size_of(const matching *m, const candidate *x)
{
    return (double)(m->state ? x->description->state_bytes : x->description->params);
}

static double off(const matching *m, const candidate *x)
{
    return fabs(size_of(m, x) / m->goal - 1);
}

static int refuse_nothing_moves(const matching *m, const candidate *x)
{
    if (x->trained)
        return cli_error_hint("compare its arch.yaml alone",
                              "--match %s: %s has weights, whose widths cannot be moved",
                              m->c->match, x->label);
    return cli_error("--match %s: %s has %.0f, %s %.0f, and nothing that could move: %s",
                     m->c->match, x->label, size_of(m, x), m->c->items[0].label, m->goal,
                     m->state ? "no recurrent mixer of a family known here"
                              : "no feed-forward with d_ff");
}

static int refuse_distance(const matching *m, const candidate *x)
{
    return cli_error("--match %s: the nearest that %s comes to %.0f %s is %.0f: more than %.0f %% "
                     "apart",
                     m->c->match, x->label, m->goal, m->state ? "state bytes" : "parameters",
                     size_of(m, x), 100 * m->tolerance);
}

/* Sizes grow with the factor: halving in logarithms, the nearest seen is kept. */
static int search(const matching *m, candidate *x, const gla_arch *base, bool *moves)
{
    double low = -log(MOST), high = log(MOST), best = 0, best_off = off(m, x);
    int status = 0;

    *moves = false;
    for (int i = 0; i < STEPS && !status; i++) {
        const double factor = exp((low + high) / 2);

        status = cli_interrupted() ? 130 : apply(m, x, base, factor);
        if (status)
            return status;
        *moves = *moves || x->n_changes;
        if (off(m, x) < best_off) {
            best = factor;
            best_off = off(m, x);
        }
        if (size_of(m, x) < m->goal)
            low = log(factor);
        else
            high = log(factor);
    }
    return apply(m, x, base, best);
}

static int match_one(const matching *m, candidate *x)
{
    gla_arch *base;
    bool moves = false;
    int status = 0;

    if (size_of(m, x) == m->goal || (x->trained && off(m, x) <= m->tolerance))
        return 0;
    if (!x->trained) {
        if (gla_arch_copy(x->arch, &base, NULL))
            return cli_error("out of memory");
        status = search(m, x, base, &moves);
        gla_arch_free(base);
    }
    if (status || off(m, x) <= m->tolerance)
        return status;
    return moves ? refuse_distance(m, x) : refuse_nothing_moves(m, x);
}

int compare_match(comparison *c)
{
    matching m = {.c = c, .state = !strcmp(c->match, "state")};
    int status = 0;

    m.tolerance = m.state ? 0.05 : 0.01;
    m.goal = size_of(&m, &c->items[0]);
    if (m.goal <= 0)
        return cli_error_hint("put a candidate with recurrent layers first",
                              "--match %s: %s has none to match", c->match, c->items[0].label);
    for (uint32_t i = 1; i < c->n && !status; i++)
        status = match_one(&m, &c->items[i]);
    return status;
}

/* ---- saying so ---------------------------------------------------------------- */

static bool is_same(const change *a, const change *b)
{
    return !strcmp(a->parameter, b->parameter) && a->from == b->from && a->to == b->to;
}

/* The changes of several blocks that are the same stand once. */
void compare_change_text(const candidate *x, char *buf, size_t size)
{
    buf[0] = '\0';
    for (uint32_t i = 0; i < x->n_changes; i++) {
        const change *a = &x->changes[i];
        bool first = true;

        for (uint32_t k = 0; k < i; k++)
            first = first && !is_same(a, &x->changes[k]);
        if (!first)
            continue;
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s %.0f -> %.0f (", buf[0] ? ", " : "",
                 a->parameter, a->from, a->to);
        for (uint32_t k = i; k < x->n_changes; k++)
            if (is_same(a, &x->changes[k]))
                snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", k == i ? "" : ", ",
                         x->changes[k].block);
        snprintf(buf + strlen(buf), size - strlen(buf), ")");
    }
    if (!buf[0])
        snprintf(buf, size, "as it was");
}
