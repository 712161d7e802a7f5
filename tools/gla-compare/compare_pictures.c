/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_pictures.c - what the pictures show: memory, quality, recall, speed, layers
 */
#include "compare_plot.h"

#include <errno.h>
#include <math.h>
#include <string.h>

enum { COLUMN = 60, COLUMN_ROW = 110 /* the label, the columns, their numbers */ };

static const char *as_bytes(char buf[32], double v)
{
    return cli_format_bytes(buf, (uint64_t)(v + 0.5));
}

static const char *as_tokens(char buf[32], double v)
{
    return compare_format_tokens(buf, (uint64_t)(v + 0.5));
}

static const char *as_nats(char buf[32], double v)
{
    snprintf(buf, 32, "%.3g", fabs(v) < 1e-9 ? 0 : v); /* sums of steps end near 0, not at it */
    return buf;
}

static const char *as_count(char buf[32], double v)
{
    snprintf(buf, 32, "%.0f", v);
    return buf;
}

static const char *as_percent(char buf[32], double v)
{
    snprintf(buf, 32, "%.0f %%", v);
    return buf;
}

static const char *as_seconds(char buf[32], double v)
{
    snprintf(buf, 32, v < 1 ? "%.3g ms" : "%.3g s", v < 1 ? 1000 * v : v);
    return buf;
}

static const char *as_rate(char buf[32], double v)
{
    return cli_format_count(buf, v);
}

/* ---- the pictures ------------------------------------------------------------ */

static bool draw_memory(const comparison *c, FILE *f, bool alone)
{
    static plot p;
    const uint64_t longest = c->contexts[c->n_contexts - 1];
    const uint64_t first = 512;
    uint64_t last = 131072;
    uint32_t doublings = 8; /* from first to last */

    for (; last < longest && doublings < MAX_POINTS - 1; last *= 2)
        doublings++;
    p = (plot){.c = c,
               .x_title = "tokens of context",
               .y_title = "KV cache and state of one sequence",
               .log_y = true,
               .lines = true,
               .x_step = doublings % 2 ? 8 : 4, /* the last point has a tick, if it can */
               .y_step = 8,
               .x_format = as_tokens,
               .y_format = as_bytes};
    for (uint32_t i = 0; i < c->n; i++) {
        const gla_description *d = c->items[i].description;
        series *s = plot_add_series(&p, i);

        for (uint64_t t = first; t <= last; t *= 2)
            plot_add_point(s, (double)t,
                           (double)(d->state_bytes + gla_description_kv_bytes(d, t, c->kv_dtype)),
                           NAN, NAN);
    }
    return plot_draw(&p, f, alone);
}

static bool draw_quality(const comparison *c, FILE *f, bool alone)
{
    static plot p;
    const uint32_t k = c->n_contexts - 1;
    char title[80], tokens[32];

    snprintf(title, sizeof(title), "KV cache and state at %s tokens",
             compare_format_tokens(tokens, c->contexts[k]));
    p = (plot){.c = c,
               .x_title = title,
               .y_title = "nll against memory",
               .front = true,
               .x_step = 4,
               .x_format = as_bytes,
               .y_format = as_nats};
    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];

        if (!isnan(x->quality.nll))
            plot_add_point(plot_add_series(&p, i),
                           (double)(x->kv_bytes[k] + x->description->state_bytes), x->quality.nll,
                           x->quality.low, x->quality.high);
    }
    return plot_draw(&p, f, alone);
}

static bool draw_positions(const comparison *c, FILE *f, bool alone)
{
    static plot p;

    p = (plot){.c = c,
               .x_title = "place in the window (tokens)",
               .y_title = "nll by position",
               .lines = true,
               .x_step = 4,
               .x_format = as_tokens,
               .y_format = as_nats};
    for (uint32_t i = 0; i < c->n; i++) {
        const quality *q = &c->items[i].quality;
        series *s;

        if (isnan(q->nll))
            continue;
        s = plot_add_series(&p, i);
        for (uint32_t b = 0; b < POSITION_BINS; b++)
            plot_add_point(s, (double)(UINT64_C(16) << b), q->by_position[b], NAN, NAN);
    }
    return plot_draw(&p, f, alone);
}

static bool draw_speed(const comparison *c, FILE *f, bool alone, bool decode)
{
    static plot p;

    p = (plot){.c = c,
               .x_title = decode ? "tokens of context" : "tokens of the prompt",
               .y_title = decode ? "decode tokens/s" : "prefill tokens/s",
               .lines = true,
               .from_zero = true,
               .x_step = 4,
               .x_format = as_tokens,
               .y_format = as_rate};
    for (uint32_t i = 0; i < c->n; i++) {
        series *s = plot_add_series(&p, i);

        for (uint32_t k = 0; k < c->n_contexts; k++) {
            const speed *at = &c->items[i].speed[k];
            const rate *r = decode ? &at->decode : &at->prefill;

            plot_add_point(s, (double)c->contexts[k], r->median, r->low, r->high);
        }
    }
    return plot_draw(&p, f, alone);
}

static bool draw_prefill(const comparison *c, FILE *f, bool alone)
{
    return draw_speed(c, f, alone, false);
}

static bool draw_decode(const comparison *c, FILE *f, bool alone)
{
    return draw_speed(c, f, alone, true);
}

static bool draw_first_token(const comparison *c, FILE *f, bool alone)
{
    static plot p;

    p = (plot){.c = c,
               .x_title = "tokens of the prompt",
               .y_title = "seconds to the first token",
               .log_y = true,
               .lines = true,
               .x_step = 4,
               .y_step = 10,
               .x_format = as_tokens,
               .y_format = as_seconds};
    for (uint32_t i = 0; i < c->n; i++) {
        series *s = plot_add_series(&p, i);

        for (uint32_t k = 0; k < c->n_contexts; k++) {
            const rate *r = &c->items[i].speed[k].first_token;

            plot_add_point(s, (double)c->contexts[k], r->median, r->low, r->high);
        }
    }
    return plot_draw(&p, f, alone);
}

/* ---- recall ------------------------------------------------------------------ */

static bool draw_recall(const comparison *c, FILE *f, bool alone, bool pairs)
{
    static plot p;

    p = (plot){.c = c,
               .x_title = pairs ? "pairs to remember" : "place of the needle in its context",
               .y_title = "nats gained over the control",
               .lines = true,
               .linear_x = !pairs,
               .mark = log(2),
               .x_step = 2,
               .x_format = pairs ? as_count : as_percent,
               .y_format = as_nats};
    for (uint32_t i = 0; i < c->n; i++) {
        series *s = NULL;

        for (uint32_t k = 0; k < c->n_probes; k++) {
            const recall *r = &c->items[i].recall[k];

            if (c->probes[k].kind != (pairs ? PROBE_PAIRS : PROBE_NEEDLE) || isnan(r->gain))
                continue;
            s = s ? s : plot_add_series(&p, i);
            s->hollow[s->n] = !r->able;
            plot_add_point(s, c->probes[k].size, r->gain, r->low, r->high);
        }
    }
    return plot_draw(&p, f, alone);
}

static bool draw_pairs(const comparison *c, FILE *f, bool alone)
{
    return draw_recall(c, f, alone, true);
}

static bool draw_needle(const comparison *c, FILE *f, bool alone)
{
    return draw_recall(c, f, alone, false);
}

/* ---- layers ------------------------------------------------------------------ */

/* What the shades of layers mean, at the foot of a picture; `seen` has a bit for each kind that is
 * in it. */
static void draw_kinds(FILE *f, uint32_t y, uint32_t seen)
{
    static const block_kind order[] = {BLOCK_LINEAR, BLOCK_SOFTMAX, BLOCK_BOTH, BLOCK_PLAIN};
    uint32_t x = 0;

    for (uint32_t i = 0; i < 4; i++) {
        if (!(seen & 1u << order[i]))
            continue;
        fprintf(f,
                "<rect class=\"k%u\" x=\"%u\" y=\"%u\" width=\"12\" height=\"12\"/>"
                "<text x=\"%u\" y=\"%u\">%s</text>",
                (unsigned)order[i], x, y, x + 17, y + 10, compare_kind_name(order[i]));
        x += 100;
    }
}

/* One column a mixer, as high as the nll rises without it. */
static void draw_columns(const candidate *x, uint32_t top, FILE *f)
{
    const quality *q = &x->quality;
    const double wide = (double)WIDTH / q->n_ablations;
    double most = 0;

    for (uint32_t i = 0; i < q->n_ablations; i++)
        most = q->ablations[i].difference > most ? q->ablations[i].difference : most;
    fprintf(f, "<text x=\"0\" y=\"%u\">", top + 14);
    compare_escape(f, x->label);
    fprintf(f, ": up to %.3g nats</text>\n", most);
    for (uint32_t i = 0; i < q->n_ablations; i++) {
        const ablation *a = &q->ablations[i];
        const double share = most > 0 && a->difference > 0 ? a->difference / most : 0;
        const double high = share * COLUMN > 1 ? share * COLUMN : 1;

        fprintf(f, "<rect class=\"k%u\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"/>",
                (unsigned)a->kind, i * wide, top + 22 + COLUMN - high,
                wide > 3 ? wide - 1 : wide * 0.8, high);
        if (q->n_ablations <= 12)
            fprintf(f, "<text x=\"%.1f\" y=\"%u\" text-anchor=\"middle\">%u</text>",
                    (i + 0.5) * wide, top + 22 + COLUMN + 15, i);
    }
    fprintf(f, "<line class=\"axis\" x1=\"0\" x2=\"%d\" y1=\"%u\" y2=\"%u\"/>\n", WIDTH,
            top + 22 + COLUMN, top + 22 + COLUMN);
}

static bool draw_ablation(const comparison *c, FILE *f, bool alone)
{
    uint32_t n = 0, seen = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        const quality *q = &c->items[i].quality;

        n += q->n_ablations > 0;
        for (uint32_t k = 0; k < q->n_ablations; k++)
            seen |= 1u << q->ablations[k].kind;
    }
    if (!n)
        return false;
    plot_open_svg(f, "rise of nll by mixer left out", n * COLUMN_ROW + 2 * LEGEND_ROW, alone);
    n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        if (c->items[i].quality.n_ablations)
            draw_columns(&c->items[i], n++ * COLUMN_ROW, f);
    draw_kinds(f, n * COLUMN_ROW + 12, seen);
    fputs("</svg>\n", f);
    return true;
}

static bool draw_layers(const comparison *c, FILE *f, bool alone)
{
    uint32_t seen = 0;

    plot_open_svg(f, "layers of each candidate", c->n * STRIP_ROW + 2 * LEGEND_ROW, alone);
    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];
        const double wide = (double)WIDTH / x->arch->n_layers;

        fprintf(f, "<text x=\"0\" y=\"%u\">", i * STRIP_ROW + 14);
        compare_escape(f, x->label);
        fputs("</text>\n", f);
        for (uint32_t k = 0; k < x->arch->n_layers; k++) {
            seen |= 1u << x->kinds[k];
            fprintf(f, "<rect class=\"k%u\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"14\"/>",
                    x->kinds[k], k * wide, i * STRIP_ROW + 19, wide > 3 ? wide - 1 : wide * 0.8);
        }
        fputs("\n", f);
    }
    draw_kinds(f, c->n * STRIP_ROW + 12, seen);
    fputs("</svg>\n", f);
    return true;
}

static bool has_quality(const comparison *c)
{
    return c->windows > 0;
}

static bool has_ablation(const comparison *c)
{
    return c->ablate && c->windows > 0;
}

static bool has_recall(const comparison *c)
{
    return c->n_probes > 0;
}

static bool has_speed(const comparison *c)
{
    return c->measured;
}

const compare_picture compare_pictures[] = {
    {"layers", "Layers, from the first to the last", draw_layers, NULL},
    {"memory", "Memory of one sequence: KV cache and state", draw_memory, NULL},
    {"quality",
     "Quality against memory: nats per token, less is better; dashed, the candidates "
     "that none beats in both",
     draw_quality, has_quality},
    {"positions", "Does a longer context help? Nats per token by place in the window",
     draw_positions, has_quality},
    {"ablation", "Which layers do the work? Rise of nll with the output of one mixer left out",
     draw_ablation, has_ablation},
    {"pairs",
     "Associative recall: nats that the right value gains over a shuffled context; hollow, below "
     "the dashed line: not able",
     draw_pairs, has_recall},
    {"needle", "A needle in random tokens: nats gained; hollow, below the dashed line: not able",
     draw_needle, has_recall},
    {"prefill", "Prefill: tokens per second", draw_prefill, has_speed},
    {"first-token", "Time to the first token", draw_first_token, has_speed},
    {"decode", "Decode: tokens per second", draw_decode, has_speed},
    {NULL, NULL, NULL, NULL},
};

int compare_write_plots(const comparison *c, const char *dir)
{
    for (const compare_picture *p = compare_pictures; p->name; p++) {
        char path[4096];
        cli_file out;
        bool drawn;

        if (p->wanted && !p->wanted(c))
            continue;
        snprintf(path, sizeof(path), "%s/%s.svg", dir, p->name);
        if (!cli_file_open(&out, path))
            return cli_error("%s: %s", path, strerror(errno));
        drawn = p->draw(c, out.f, true);
        if (!cli_file_close(&out))
            return cli_error("%s: cannot write: %s", path, strerror(errno));
        if (!drawn)
            remove(path); /* measured, but at no context that an axis could show */
    }
    return 0;
}
