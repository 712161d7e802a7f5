/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_plot.h - how the pictures of gla-compare are drawn
 *
 * A plot is lines or dots of some candidates over two axes with a legend below.  Fill in the
 * description, add a series per candidate and its points, then plot_draw() writes one <svg>:
 *
 *     static plot p;
 *     p = (plot){.c = c, .x_title = "tokens of context", ..., .lines = true};
 *     series *s = plot_add_series(&p, i);
 *     plot_add_point(s, x, y, NAN, NAN);
 *     return plot_draw(&p, f, alone);
 *
 * Nothing is owned; one thread.
 */
#ifndef GLA_COMPARE_PLOT_H
#define GLA_COMPARE_PLOT_H

#include "compare.h"

enum {
    WIDTH = 480,
    HEIGHT = 280, /* of the plot; the legend comes below */
    LEFT = 66,
    RIGHT = 22,
    TOP = 12,
    BOTTOM = 44,
    LEGEND_ROW = 18,
    STRIP_ROW = 38, /* the label, then the strip */
    MAX_POINTS = 32,
};

typedef struct series {
    uint32_t candidate;
    double x[MAX_POINTS], y[MAX_POINTS], low[MAX_POINTS], high[MAX_POINTS]; /* low NAN: no bar */
    bool hollow[MAX_POINTS]; /* there, but not to be taken for more than noise */
    uint32_t n;
} series;

typedef const char *format_fn(char buf[32], double v);

typedef struct plot {
    const comparison *c;
    const char *x_title, *y_title;
    bool log_y, lines, front;
    bool linear_x;         /* else logarithmic */
    bool from_zero;        /* the y axis, though nothing lies there */
    double mark;           /* a dashed line at this height; 0: none */
    double x_step, y_step; /* logarithmic axes: factor between ticks */
    format_fn *x_format, *y_format;
    series list[MAX_CANDIDATES];
    uint32_t n;
    double x0, x1, y0, y1;
    double x_first; /* tick */
} plot;

/* In one of 8 colours by the candidate. */
series *plot_add_series(plot *p, uint32_t candidate);
/* Points without a place on the axes are left out. */
void plot_add_point(series *s, double x, double y, double low, double high);
/* False when there is nothing to draw; then nothing is written. */
bool plot_draw(plot *p, FILE *f, bool alone);

/* For pictures that are no plots: alone brings its own style. */
void plot_open_svg(FILE *f, const char *title, uint32_t height, bool alone);

#endif
