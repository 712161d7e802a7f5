/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_plot.c - SVG: lines over a logarithmic axis, quality against cost, layer strips
 *
 * Every picture carries a legend and takes its colours from classes (plot_style), so that one
 * drawing serves light and dark pages and stands alone in a file.  480 units wide: readable on a
 * phone.
 */
#include "compare.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

enum {
    WIDTH = 480,
    HEIGHT = 280, /* of the plot; the legend comes below */
    LEFT = 66,
    RIGHT = 14,
    TOP = 12,
    BOTTOM = 44,
    LEGEND_ROW = 18,
    STRIP_ROW = 38, /* the label, then the strip */
    MAX_POINTS = 32,
};

typedef struct series {
    uint32_t candidate;
    double x[MAX_POINTS], y[MAX_POINTS], low[MAX_POINTS], high[MAX_POINTS]; /* low NAN: no bar */
    uint32_t n;
} series;

typedef const char *format_fn(char buf[32], double v);

typedef struct plot {
    const comparison *c;
    const char *x_title, *y_title;
    bool log_y, lines, front;
    double x_step, y_step; /* logarithmic axes: factor between ticks */
    format_fn *x_format, *y_format;
    series list[MAX_CANDIDATES];
    uint32_t n;
    double x0, x1, y0, y1;
} plot;

/* ---- text -------------------------------------------------------------------- */

void compare_escape(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '<')
            fputs("&lt;", f);
        else if (*text == '>')
            fputs("&gt;", f);
        else if (*text == '&')
            fputs("&amp;", f);
        else if (*text == '"')
            fputs("&quot;", f);
        else
            putc(*text, f);
    }
}

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
    snprintf(buf, 32, "%.3g", v);
    return buf;
}

static const char *as_rate(char buf[32], double v)
{
    return cli_format_count(buf, v);
}

/* Colours told apart also by the colour-blind (Okabe and Ito), on both backgrounds. */
void compare_plot_style(FILE *f)
{
    static const char *const light[] = {"#0072b2", "#d55e00", "#009e73", "#b5418a",
                                        "#8a6d00", "#3a9bdc", "#444444", "#7a52c7"};
    static const char *const dark[] = {"#56a8e8", "#ff8c42", "#2fd6a3", "#e38bc2",
                                       "#e6c229", "#9ad4ff", "#cccccc", "#b79cf0"};

    fputs(".plot{font:13px system-ui,sans-serif}.plot text{fill:#333}"
          ".plot .grid{stroke:#ddd}.plot .axis{stroke:#888}.plot .front{stroke:#888;fill:none}"
          ".plot .line{fill:none;stroke-width:2.2}"
          ".k0{fill:#bbb}.k1{fill:#3a9bdc}.k2{fill:#d55e00}.k3{fill:#8a6d00}",
          f);
    for (uint32_t i = 0; i < 8; i++)
        fprintf(f, ".s%u{stroke:%s}.f%u{fill:%s}", i, light[i], i, light[i]);
    fputs("@media(prefers-color-scheme:dark){.plot text{fill:#ddd}.plot .grid{stroke:#3a3a3a}"
          ".plot .axis{stroke:#888}.k0{fill:#555}",
          f);
    for (uint32_t i = 0; i < 8; i++)
        fprintf(f, ".s%u{stroke:%s}.f%u{fill:%s}", i, dark[i], i, dark[i]);
    fputs("}", f);
}

/* ---- axes -------------------------------------------------------------------- */

static double place_x(const plot *p, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * log(x / p->x0) / log(p->x1 / p->x0);
}

static double place_y(const plot *p, double y)
{
    const double share =
        p->log_y ? log(y / p->y0) / log(p->y1 / p->y0) : (y - p->y0) / (p->y1 - p->y0);

    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

static void stretch(double v, double *low, double *high)
{
    if (isnan(v))
        return;
    *low = v < *low ? v : *low;
    *high = v > *high ? v : *high;
}

/* 1, 2 or 5 times a power of ten, so that about four ticks fit. */
static double nice_step(double range)
{
    const double power = pow(10, floor(log10(range / 4))), n = range / 4 / power;

    return power * (n < 1.5 ? 1 : n < 3.5 ? 2 : n < 7.5 ? 5 : 10);
}

/* False when there is nothing to draw. */
static bool set_range(plot *p)
{
    double x0 = INFINITY, x1 = 0, y0 = INFINITY, y1 = 0;

    for (uint32_t s = 0; s < p->n; s++)
        for (uint32_t i = 0; i < p->list[s].n; i++) {
            stretch(p->list[s].x[i], &x0, &x1);
            stretch(p->list[s].y[i], &y0, &y1);
            stretch(p->list[s].low[i], &y0, &y1);
            stretch(p->list[s].high[i], &y0, &y1);
        }
    if (!(x0 <= x1) || !(y0 <= y1) || x0 <= 0 || (p->log_y && y0 <= 0))
        return false;
    p->x0 = p->lines && x0 < x1 ? x0 : x0 / 1.4;
    p->x1 = p->lines && x0 < x1 ? x1 : x1 * 1.4;
    if (p->log_y) {
        p->y0 = pow(p->y_step, floor(log(y0) / log(p->y_step) + 1e-9));
        p->y1 = y1 * 1.15 > p->y0 * p->y_step ? y1 * 1.15 : p->y0 * p->y_step;
        return true;
    }
    p->y_step = nice_step(y1 > y0 ? y1 - y0 : y0);
    p->y0 = floor(y0 / p->y_step) * p->y_step;
    p->y1 = ceil(y1 / p->y_step + 1e-9) * p->y_step;
    return true;
}

static void draw_axes(const plot *p, FILE *f)
{
    double tick = p->y0;
    char buf[32];

    for (; tick <= p->y1 * (1 + 1e-9); tick = p->log_y ? tick * p->y_step : tick + p->y_step)
        fprintf(f,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, WIDTH - RIGHT, place_y(p, tick), place_y(p, tick), LEFT - 6,
                place_y(p, tick) + 4, p->y_format(buf, tick));
    tick = pow(p->x_step, ceil(log(p->x0) / log(p->x_step) - 1e-9));
    for (; tick <= p->x1 * (1 + 1e-9); tick *= p->x_step)
        fprintf(f,
                "<line class=\"axis\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/>"
                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
                place_x(p, tick), place_x(p, tick), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 5,
                place_x(p, tick), HEIGHT - BOTTOM + 19, p->x_format(buf, tick));
    fprintf(f,
            "<line class=\"axis\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">%s</text>\n",
            LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, HEIGHT - BOTTOM, (LEFT + WIDTH - RIGHT) / 2,
            HEIGHT - 6, p->x_title);
}

/* ---- what is in it ----------------------------------------------------------- */

static void draw_series(const plot *p, const series *s, FILE *f)
{
    const uint32_t colour = s->candidate % 8;

    if (p->lines && s->n > 1) {
        fprintf(f, "<polyline class=\"line s%u\"%s points=\"", colour,
                s->candidate / 8 ? " stroke-dasharray=\"5 3\"" : "");
        for (uint32_t i = 0; i < s->n; i++)
            fprintf(f, "%.1f,%.1f ", place_x(p, s->x[i]), place_y(p, s->y[i]));
        fputs("\"/>\n", f);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!isnan(s->low[i]))
            fprintf(f, "<line class=\"s%u\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    colour, place_x(p, s->x[i]), place_x(p, s->x[i]), place_y(p, s->low[i]),
                    place_y(p, s->high[i]));
        fprintf(f, "<circle class=\"f%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>\n", colour,
                place_x(p, s->x[i]), place_y(p, s->y[i]), p->lines ? "2.5" : "5");
    }
}

/* Candidates that no other beats in both: sorted by cost, each must be better than all cheaper. */
static void draw_front(const plot *p, FILE *f)
{
    double x = 0, best = INFINITY;

    fputs("<polyline class=\"front\" stroke-dasharray=\"4 4\" points=\"", f);
    for (;;) {
        const series *next = NULL;

        for (uint32_t s = 0; s < p->n; s++) {
            const series *at = &p->list[s];

            if (at->y[0] < best && at->x[0] > x &&
                (!next || at->x[0] < next->x[0] ||
                 (at->x[0] == next->x[0] && at->y[0] < next->y[0])))
                next = at;
        }
        if (!next)
            break;
        x = next->x[0];
        best = next->y[0];
        fprintf(f, "%.1f,%.1f ", place_x(p, x), place_y(p, best));
    }
    fputs("\"/>\n", f);
}

static void open_svg(FILE *f, const char *title, uint32_t height, bool alone)
{
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"plot\" viewBox=\"0 0 %d %u\" "
            "role=\"img\" aria-label=\"%s\">\n",
            WIDTH, height, title);
    if (alone) {
        fputs("<style>", f);
        compare_plot_style(f);
        fputs("</style>\n", f);
    }
}

/* Two columns, or one when a label is too long for that. */
static uint32_t legend_columns(const plot *p)
{
    for (uint32_t s = 0; s < p->n; s++)
        if (strlen(p->c->items[p->list[s].candidate].label) > 24)
            return 1;
    return 2;
}

static void draw_legend(const plot *p, FILE *f)
{
    const uint32_t columns = legend_columns(p);

    for (uint32_t s = 0; s < p->n; s++) {
        const uint32_t which = p->list[s].candidate;
        const uint32_t x = s % columns ? (WIDTH + LEFT) / 2 : LEFT;
        const uint32_t y = HEIGHT + 12 + s / columns * LEGEND_ROW;

        fprintf(f,
                "<rect class=\"f%u\" x=\"%u\" y=\"%u\" width=\"14\" height=\"%d\"/>"
                "<text x=\"%u\" y=\"%u\">",
                which % 8, x, y - 7, which / 8 ? 2 : 5, x + 20, y);
        compare_escape(f, p->c->items[which].label);
        fputs("</text>\n", f);
    }
}

static bool draw(plot *p, FILE *f, bool alone)
{
    const uint32_t columns = legend_columns(p), rows = (p->n + columns - 1) / columns;

    if (!set_range(p))
        return false;
    open_svg(f, p->y_title, HEIGHT + 4 + rows * LEGEND_ROW, alone);
    draw_axes(p, f);
    if (p->front)
        draw_front(p, f);
    for (uint32_t s = 0; s < p->n; s++)
        draw_series(p, &p->list[s], f);
    draw_legend(p, f);
    fputs("</svg>\n", f);
    return true;
}

static series *add_series(plot *p, uint32_t index)
{
    series *s = &p->list[p->n++];

    memset(s, 0, sizeof(*s));
    s->candidate = index;
    return s;
}

static void add_point(series *s, double x, double y, double low, double high)
{
    if (isnan(y) || x <= 0 || s->n == MAX_POINTS)
        return;
    s->x[s->n] = x;
    s->y[s->n] = y;
    s->low[s->n] = low;
    s->high[s->n++] = high;
}

/* ---- the pictures ------------------------------------------------------------ */

static bool draw_memory(const comparison *c, FILE *f, bool alone)
{
    static plot p;
    const uint64_t longest = c->contexts[c->n_contexts - 1];

    p = (plot){.c = c,
               .x_title = "tokens of context",
               .y_title = "KV cache and state of one sequence",
               .log_y = true,
               .lines = true,
               .x_step = 8,
               .y_step = 8,
               .x_format = as_tokens,
               .y_format = as_bytes};
    for (uint32_t i = 0; i < c->n; i++) {
        const gla_description *d = c->items[i].description;
        series *s = add_series(&p, i);

        for (uint64_t t = 512; t <= 131072 || t <= longest; t *= 2)
            add_point(s, (double)t,
                      (double)(d->state_bytes + gla_description_kv_bytes(d, t, c->kv_dtype)), NAN,
                      NAN);
    }
    return draw(&p, f, alone);
}

static bool draw_quality(const comparison *c, FILE *f, bool alone)
{
    static plot p;
    const uint32_t k = c->n_contexts - 1;

    p = (plot){.c = c,
               .x_title = "KV cache and state at the longest context",
               .y_title = "nll against memory",
               .front = true,
               .x_step = 4,
               .x_format = as_bytes,
               .y_format = as_nats};
    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];

        if (!isnan(x->quality.nll))
            add_point(add_series(&p, i), (double)(x->kv_bytes[k] + x->description->state_bytes),
                      x->quality.nll, x->quality.low, x->quality.high);
    }
    return draw(&p, f, alone);
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
        s = add_series(&p, i);
        for (uint32_t b = 0; b < POSITION_BINS; b++)
            add_point(s, (double)(UINT64_C(16) << b), q->by_position[b], NAN, NAN);
    }
    return draw(&p, f, alone);
}

static bool draw_speed(const comparison *c, FILE *f, bool alone, bool decode)
{
    static plot p;

    p = (plot){.c = c,
               .x_title = decode ? "tokens of context" : "tokens of the prompt",
               .y_title = decode ? "decode tokens/s" : "prefill tokens/s",
               .lines = true,
               .x_step = 4,
               .x_format = as_tokens,
               .y_format = as_rate};
    for (uint32_t i = 0; i < c->n; i++) {
        series *s = add_series(&p, i);

        for (uint32_t k = 0; k < c->n_contexts; k++) {
            const rate *r = decode ? &c->items[i].decode[k] : &c->items[i].prefill[k];

            add_point(s, (double)c->contexts[k], r->median, r->low, r->high);
        }
    }
    return draw(&p, f, alone);
}

static bool draw_prefill(const comparison *c, FILE *f, bool alone)
{
    return draw_speed(c, f, alone, false);
}

static bool draw_decode(const comparison *c, FILE *f, bool alone)
{
    return draw_speed(c, f, alone, true);
}

static bool draw_layers(const comparison *c, FILE *f, bool alone)
{
    static const char *const names[] = {"neither", "recurrent", "softmax", "both"};

    open_svg(f, "layers of each candidate", c->n * STRIP_ROW + 2 * LEGEND_ROW, alone);
    for (uint32_t i = 0; i < c->n; i++) {
        const candidate *x = &c->items[i];
        const double wide = (double)WIDTH / x->arch->n_layers;

        fprintf(f, "<text x=\"0\" y=\"%u\">", i * STRIP_ROW + 14);
        compare_escape(f, x->label);
        fputs("</text>\n", f);
        for (uint32_t k = 0; k < x->arch->n_layers; k++)
            fprintf(f, "<rect class=\"k%u\" x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"14\"/>",
                    x->kinds[k], k * wide, i * STRIP_ROW + 19, wide > 3 ? wide - 1 : wide * 0.8);
        fputs("\n", f);
    }
    for (uint32_t k = 0; k < 4; k++)
        fprintf(f,
                "<rect class=\"k%u\" x=\"%u\" y=\"%u\" width=\"12\" height=\"12\"/>"
                "<text x=\"%u\" y=\"%u\">%s</text>",
                k, k * 100, c->n * STRIP_ROW + 12, k * 100 + 17, c->n * STRIP_ROW + 22, names[k]);
    fputs("</svg>\n", f);
    return true;
}

const compare_picture compare_pictures[] = {
    {"layers", "Layers, from the first to the last", draw_layers, false, false},
    {"memory", "Memory of one sequence: KV cache and state", draw_memory, false, false},
    {"quality",
     "Quality against memory: nats per token, less is better; dashed, the candidates "
     "that none beats in both",
     draw_quality, true, false},
    {"positions", "Does a longer context help? Nats per token by place in the window",
     draw_positions, true, false},
    {"prefill", "Prefill: tokens per second", draw_prefill, false, true},
    {"decode", "Decode: tokens per second", draw_decode, false, true},
    {NULL, NULL, NULL, false, false},
};

bool compare_has_picture(const comparison *c, const compare_picture *p)
{
    return (!p->needs_text || c->windows) && (!p->needs_speed || c->measured);
}

int compare_write_plots(const comparison *c, const char *dir)
{
    if (mkdir(dir, 0777) && errno != EEXIST)
        return cli_error("%s: cannot make the folder: %s", dir, strerror(errno));
    for (const compare_picture *p = compare_pictures; p->name; p++) {
        char path[4096];
        FILE *f;
        bool drawn, bad;

        if (!compare_has_picture(c, p))
            continue;
        snprintf(path, sizeof(path), "%s/%s.svg", dir, p->name);
        f = fopen(path, "w");
        if (!f)
            return cli_error("%s: %s", path, strerror(errno));
        drawn = p->draw(c, f, true);
        bad = ferror(f) != 0;
        if (fclose(f) || bad)
            return cli_error("%s: cannot write", path);
        if (!drawn)
            remove(path); /* measured, but at no context that an axis could show */
    }
    return 0;
}
