/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_columns.h - the columns of a comparison: what the table, the CSV and the page's tables
 * show
 *
 *     static columns t;                      large
 *     columns_make(&t, c);
 *     for (uint32_t k = 0; k < t.n; k++)
 *         ... columns_format(buf, &t.list[k], i) of candidate i ...
 *
 * Columns of one group stand one after the other.  Nothing is owned; one thread.
 */
#ifndef GLA_COMPARE_COLUMNS_H
#define GLA_COMPARE_COLUMNS_H

#include "compare.h"

enum { MAX_COLUMNS = 16 + 8 * MAX_CONTEXTS + MAX_PROBES, CELL = 96 };

typedef enum number_unit {
    UNIT_COUNT,
    UNIT_BYTES,
    UNIT_TOKENS,
    UNIT_NATS,
    UNIT_GAIN, /* nats, roughly; in brackets when weak */
    UNIT_RATE,
    UNIT_SECONDS,
    UNIT_JOULES
} number_unit;

typedef struct column {
    const char *group; /* columns of one group stand in one table */
    char head[32], key[48];
    number_unit unit;
    int better;                   /* -1: less, 1: more, 0: neither */
    double value[MAX_CANDIDATES]; /* NAN: not measured; INFINITY: no limit */
    bool spread;                  /* there are bounds too */
    bool weak[MAX_CANDIDATES];    /* there, but not to be taken for more than noise */
    double low[MAX_CANDIDATES], high[MAX_CANDIDATES];
} column;

typedef struct columns {
    const comparison *c;
    column list[MAX_COLUMNS];
    uint32_t n;
} columns;

void columns_make(columns *t, const comparison *c);
/* First column of the next group; t->n: there is none. */
uint32_t columns_group_end(const columns *t, uint32_t first);
/* The value of candidate i as people read it. */
const char *columns_format(char buf[CELL], const column *x, uint32_t i);
/* The best of a column, unless all are equal. */
bool columns_is_best(const columns *t, const column *x, uint32_t i);

#endif
