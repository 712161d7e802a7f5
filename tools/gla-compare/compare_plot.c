/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_plot.c - SVG: lines and dots over two axes
 *
 * Every picture carries a legend and takes its colours from classes (plot_style), so that one
 * drawing serves light and dark pages and stands alone in a file.  480 units wide: readable on a
 * phone.
 */
#include "compare_plot.h"

#include <math.h>
#include <string.h>

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

/* Colours of candidates told apart also by the colour-blind (Okabe and Ito), on both backgrounds;
 * kinds of layers in shades, as the terminal has them, so that no candidate's colour means one. */
void compare_plot_style(FILE *f)
{
    static const char *const light[] = {"#0072b2", "#d55e00", "#009e73", "#b5418a",
                                        "#8a6d00", "#3a9bdc", "#444444", "#7a52c7"};
    static const char *const dark[] = {"#56a8e8", "#ff8c42", "#2fd6a3", "#e38bc2",
                                       "#e6c229", "#9ad4ff", "#cccccc", "#b79cf0"};

    fputs(".plot{font:13px system-ui,sans-serif}.plot text{fill:#333}"
          ".plot .grid{stroke:#ddd}.plot .axis{stroke:#888}.plot .front{stroke:#888;fill:none}"
          ".plot .line{fill:none;stroke-width:2.2}.plot .h{fill:var(--paper,#fff);stroke-width:1.5}"
          ".k0{fill:#eee}.k1{fill:#b4c4d2}.k2{fill:#3f4c58}.k3{fill:#8f7ba8}",
          f);
    for (uint32_t i = 0; i < 8; i++)
        fprintf(f, ".s%u{stroke:%s}.f%u{fill:%s}", i, light[i], i, light[i]);
    fputs("@media(prefers-color-scheme:dark){.plot text{fill:#ddd}.plot .grid{stroke:#3a3a3a}"
          ".plot .axis{stroke:#888}.plot .h{fill:var(--paper,#16181b)}"
          ".k0{fill:#2c3036}.k1{fill:#5d6f80}.k2{fill:#dde5ec}.k3{fill:#a893c6}",
          f);
    for (uint32_t i = 0; i < 8; i++)
        fprintf(f, ".s%u{stroke:%s}.f%u{fill:%s}", i, dark[i], i, dark[i]);
    fputs("}", f);
}

/* ---- axes -------------------------------------------------------------------- */

static double place_x(const plot *p, double x)
{
    const double share =
        p->linear_x ? (x - p->x0) / (p->x1 - p->x0) : log(x / p->x0) / log(p->x1 / p->x0);

    return LEFT + (WIDTH - LEFT - RIGHT) * share;
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

static void set_range_y(plot *p, double y0, double y1)
{
    if (p->log_y) {
        p->y0 = pow(p->y_step, floor(log(y0) / log(p->y_step) + 1e-9));
        p->y1 = y1 * 1.15 > p->y0 * p->y_step ? y1 * 1.15 : p->y0 * p->y_step;
        return;
    }
    p->y_step = nice_step(y1 > y0 ? y1 - y0 : y1 > 0 ? y1 : 1);
    p->y0 = floor(y0 / p->y_step) * p->y_step;
    p->y1 = ceil(y1 / p->y_step + 1e-9) * p->y_step;
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
    if (p->mark > 0)
        stretch(p->mark, &y0, &y1);
    if (p->from_zero)
        stretch(0, &y0, &y1);
    if (!(x0 <= x1) || !(y0 <= y1) || (p->log_y && y0 <= 0))
        return false;
    p->x_first = p->linear_x ? 0
                 : p->lines  ? x0 /* lines begin at a tick, dots lie anywhere */
                             : pow(p->x_step, ceil(log(x0 / 1.4) / log(p->x_step) - 1e-9));
    p->x0 = p->linear_x ? 0 : p->lines && x0 < x1 ? x0 : x0 / 1.4;
    p->x1 = p->lines && p->x0 < x1 ? x1 : x1 * 1.4;
    if (p->linear_x) {
        p->x_step = nice_step(x1);
        p->x1 = ceil(x1 / p->x_step) * p->x_step;
    }
    set_range_y(p, y0, y1);
    return true;
}

static double nth_tick(double first, double step, bool logarithmic, int n)
{
    return logarithmic ? first * pow(step, n) : first + n * step;
}

static void draw_axes(const plot *p, FILE *f)
{
    double tick;
    char buf[32];

    for (int i = 0;
         (tick = nth_tick(p->y0, p->y_step, p->log_y, i)) <= p->y1 + 1e-9 * (p->y1 - p->y0); i++)
        fprintf(f,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                LEFT, WIDTH - RIGHT, place_y(p, tick), place_y(p, tick), LEFT - 6,
                place_y(p, tick) + 4, p->y_format(buf, tick));
    for (int i = 0; (tick = nth_tick(p->x_first, p->x_step, !p->linear_x, i)) <= p->x1 * (1 + 1e-9);
         i++)
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
        fprintf(f, "<circle class=\"%s%u\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>\n",
                s->hollow[i] ? "h s" : "f", colour, place_x(p, s->x[i]), place_y(p, s->y[i]),
                s->hollow[i] ? "3.5"
                : p->lines   ? "2.5"
                             : "5");
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

void plot_open_svg(FILE *f, const char *title, uint32_t height, bool alone)
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

bool plot_draw(plot *p, FILE *f, bool alone)
{
    const uint32_t columns = legend_columns(p), rows = (p->n + columns - 1) / columns;

    if (!set_range(p))
        return false;
    plot_open_svg(f, p->y_title, HEIGHT + 4 + rows * LEGEND_ROW, alone);
    draw_axes(p, f);
    if (p->front)
        draw_front(p, f);
    if (p->mark > 0)
        fprintf(f,
                "<line class=\"front\" stroke-dasharray=\"4 4\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" "
                "y2=\"%.1f\"/>\n",
                LEFT, WIDTH - RIGHT, place_y(p, p->mark), place_y(p, p->mark));
    for (uint32_t s = 0; s < p->n; s++)
        draw_series(p, &p->list[s], f);
    draw_legend(p, f);
    fputs("</svg>\n", f);
    return true;
}

series *plot_add_series(plot *p, uint32_t index)
{
    series *s = &p->list[p->n++];

    memset(s, 0, sizeof(*s));
    s->candidate = index;
    return s;
}

void plot_add_point(series *s, double x, double y, double low, double high)
{
    if (isnan(y) || x <= 0 || s->n == MAX_POINTS) /* x: no picture has anything at 0 */
        return;
    s->x[s->n] = x;
    s->y[s->n] = y;
    s->low[s->n] = low;
    s->high[s->n++] = high;
}
