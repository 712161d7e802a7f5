/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/sized.h"
#include "convert/conversion.h"

/* One remark for each reason why a tensor kept more precision than asked for. */
static void report_kept(const gla__conversion *c)
{
    static const char *const reasons[GLA__KEPT_COUNT] = {
        [GLA__KEPT_VECTOR] = "vectors, of little weight",
        [GLA__KEPT_SENSITIVE] = "gates and decays, where an error is carried along",
        [GLA__KEPT_LOOKUP] = "read by row",
        [GLA__KEPT_HEAD] = "the head, unless it is asked for",
        [GLA__KEPT_SMALL] = "small",
        [GLA__KEPT_PATTERN] = "as asked for",
    };

    for (int reason = 1; reason < GLA__KEPT_COUNT; reason++) {
        const char *example = NULL;
        uint32_t n = 0;

        for (size_t i = 0; i < c->n_items; i++)
            if ((int)c->items[i].kept == reason && !n++)
                example = c->items[i].out.name;
        if (n)
            gla__convert_note(&c->options, "not quantised: %s%s (%s)", example,
                              n > 1 ? " and others of its kind" : "", reasons[reason]);
    }
}

static void fill_report(gla__conversion *c, double start)
{
    c->report.n_tensors = (uint32_t)c->n_items;
    for (uint32_t i = 0; i < gla_weights_count(c->weights); i++)
        c->report.raw_bytes += gla_weights_info(c->weights, i)->raw_bytes;
    c->report.seconds = gla__clock_seconds() - start;
    if (c->arch->family)
        snprintf(c->report.family, sizeof(c->report.family), "%s", c->arch->family);
}

gla_status gla_convert(const char *src, const char *dst, const gla_convert_options *options,
                       gla_convert_report *report, size_t report_size, gla_diag *diag)
{
    gla__conversion c = {.src = src, .diag = diag};
    const double start = gla__clock_seconds();
    gla__output out = {0};
    gla_status st = gla__convert_options(options, &c.options, &c.limits, diag);

    if (report)
        memset(report, 0, report_size);
    if (st)
        return st;
    st = gla__convert_open(&c);
    if (!st)
        st = gla__convert_plan(&c);
    if (!st)
        st = gla__output_open(&out, src, dst, "arch.yaml", c.options.overwrite != 0, diag);
    if (!st) {
        c.dst = out.path;
        st = gla__convert_write(&c);
    }
    st = gla__output_close(&out, st, diag);
    if (!st) {
        report_kept(&c);
        fill_report(&c, start);
        if (report)
            gla__write_struct(report, report_size, &c.report, sizeof(c.report));
    }
    gla__convert_deinit(&c);
    return st;
}
