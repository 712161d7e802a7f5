/* SPDX-License-Identifier: Apache-2.0
 *
 * rows.c - rows split over threads, for the table's functions and for a layer's own work
 */
#include <string.h>

#include "base/parallel.h"
#include "math/ops.h"

#define PIECES_PER_THREAD 4u
#define PARALLEL_FROM     16384u /* numbers */
#define MAX_OPERANDS      16u

typedef struct rows_call {
    void (*fn)(void *arg, uint32_t first, uint32_t last);
    void *arg;
    uint32_t rows, pieces;
} rows_call;

static void rows_piece(void *arg, uint32_t i)
{
    const rows_call *c = arg;

    c->fn(c->arg, (uint32_t)((uint64_t)c->rows * i / c->pieces),
          (uint32_t)((uint64_t)c->rows * (i + 1) / c->pieces));
}

static void split(uint32_t rows, void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg)
{
    const uint32_t width = gla__parallel_width();
    const uint32_t most = width > 1 ? PIECES_PER_THREAD * width : 1;
    rows_call c = {fn, arg, rows, rows < most ? rows : most};

    gla__parallel_for(c.pieces, rows_piece, &c);
}

void gla__split_rows(uint32_t rows, size_t numbers,
                     void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg)
{
    if (rows * numbers < PARALLEL_FROM)
        fn(arg, 0, rows);
    else
        split(rows, fn, arg);
}

gla_status gla__for_rows(const gla_batch *b, uint32_t rows,
                         void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg)
{
    const gla__exec *exec = b->exec;

    if (exec && exec->failed)
        return exec->failed;
    split(rows, fn, arg);
    return GLA_OK;
}

/* ---- rows with operands ---- */

typedef struct operands_call {
    const gla_rows *rows;
    float *at[MAX_OPERANDS];
} operands_call;

static void operands_piece(void *arg, uint32_t first, uint32_t last)
{
    const operands_call *c = arg;

    c->rows->fn(c->rows->arg, c->at, first, last);
}

/* Fills in c->at, and how many numbers a row has. */
static gla_status take_operands(const gla_batch *b, operands_call *c, size_t *numbers)
{
    const gla_rows *r = c->rows;
    const uint32_t size = r->operand_size ? r->operand_size : (uint32_t)GLA__FIRST(gla_operand);

    if (!r->fn || !r->operands || !r->n_operands || r->n_operands > MAX_OPERANDS ||
        size < GLA__FIRST(gla_operand))
        return gla_host_fail(b->host, GLA_E_INVALID, "rows: fn, or 1 to 16 operands, are missing");
    *numbers = 0;
    for (uint32_t i = 0; i < r->n_operands; i++) {
        gla_operand o;

        gla__take(&o, sizeof(o), (const char *)r->operands + (size_t)i * size, size);
        if (!o.p || !o.use || o.use > GLA_USE_READ_WRITE)
            return gla_host_fail(b->host, GLA_E_INVALID, "rows: an operand without numbers or use");
        memcpy(&c->at[i], &o.p, sizeof(c->at[i])); /* fn writes to it where its use says so */
        *numbers += o.width;
    }
    return GLA_OK;
}

gla_status gla__rows(const gla_batch *b, const gla_rows *given)
{
    gla_rows r;
    operands_call c = {.rows = &r};
    size_t numbers = 0;
    gla__work work;
    gla_status st = gla__work_begin(b, GLA__WORK_ACTIVATION, &work);

    if (!st)
        st = GLA__TAKE(b->host, gla_rows, given, &r);
    if (!st)
        st = take_operands(b, &c, &numbers);
    if (!st && r.whole)
        split(r.rows, operands_piece, &c);
    else if (!st)
        gla__split_rows(r.rows, numbers, operands_piece, &c);
    return gla__work_end(&work, st);
}
