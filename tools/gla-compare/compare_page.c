/* SPDX-License-Identifier: Apache-2.0
 *
 * compare_page.c - the comparison as one HTML file that needs nothing else
 */
#include "compare_columns.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>

static const char style[] =
    ":root{color-scheme:light dark;--ink:#222;--paper:#fff;--line:#ddd;--soft:#666;--best:#e3f2e6}"
    "@media(prefers-color-scheme:dark){:root{--ink:#ddd;--paper:#16181b;--line:#363a40;"
    "--soft:#999;--best:#1e3a2a}}"
    "body{margin:0 auto;padding:1rem;max-width:68rem;background:var(--paper);color:var(--ink);"
    "font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.5rem;margin:.3rem 0}h2{font-size:1.05rem;margin:1.6rem 0 .4rem}"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));"
    "gap:1rem 2rem}figure{margin:0}figcaption{font-size:.95rem;margin-bottom:.3rem}"
    "svg{width:100%;height:auto;display:block}.scroll{overflow-x:auto}"
    "table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}"
    "th,td{padding:.2rem .7rem;text-align:right;border-bottom:1px solid var(--line);"
    "white-space:nowrap}th:first-child{text-align:left;position:sticky;left:0;"
    "background:var(--paper)}td.best{background:var(--best);"
    "font-weight:600}footer,.soft{color:var(--soft);font-size:.85rem}"
    "code{overflow-wrap:anywhere}";

/* ---- tables -------------------------------------------------------------------- */

static void write_group(const columns *t, uint32_t first, uint32_t end, FILE *f)
{
    char buf[CELL];

    fprintf(f, "<h2>%c%s</h2>\n<div class=\"scroll\"><table><tr><th>candidate</th>",
            toupper((unsigned char)t->list[first].group[0]), t->list[first].group + 1);
    for (uint32_t k = first; k < end; k++) {
        fputs("<th>", f);
        compare_escape(f, t->list[k].head);
        fputs("</th>", f);
    }
    fputs("</tr>\n", f);
    for (uint32_t i = 0; i < t->c->n; i++) {
        fputs("<tr><th>", f);
        compare_escape(f, t->c->items[i].label);
        fputs("</th>", f);
        for (uint32_t k = first; k < end; k++)
            fprintf(f, "<td%s>%s</td>", columns_is_best(t, &t->list[k], i) ? " class=\"best\"" : "",
                    columns_format(buf, &t->list[k], i));
        fputs("</tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void write_changes(const comparison *c, FILE *f)
{
    char text[1024];

    fprintf(f, "<h2>Widths moved until the %s are those of ",
            strcmp(c->match, "state") ? "parameters" : "state bytes");
    compare_escape(f, c->items[0].label);
    fputs("</h2>\n<div class=\"scroll\"><table>\n", f);
    for (uint32_t i = 1; i < c->n; i++) {
        compare_change_text(&c->items[i], text, sizeof(text));
        fputs("<tr><th>", f);
        compare_escape(f, c->items[i].label);
        fputs("</th><td>", f);
        compare_escape(f, text);
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void write_ablation(const candidate *x, FILE *f)
{
    fputs("<h2>", f);
    compare_escape(f, x->label);
    fprintf(f,
            ": one mixer left out at a time</h2>\n<div class=\"scroll\"><table><tr><th>layer</th>"
            "<th>type</th><th>kind</th><th>nll</th><th>rise</th></tr>\n");
    for (uint32_t i = 0; i < x->quality.n_ablations; i++) {
        const ablation *a = &x->quality.ablations[i];

        fputs("<tr><th>", f);
        compare_escape(f, a->layer);
        fputs("</th><td>", f);
        compare_escape(f, a->type);
        fprintf(f, "</td><td>%s</td><td>%.4f</td><td>%.4f", compare_kind_name(a->kind), a->nll,
                a->difference);
        if (!isnan(a->low))
            fprintf(f, " [%.3f, %.3f]", a->low, a->high);
        fputs("</td></tr>\n", f);
    }
    fputs("</table></div>\n", f);
}

static void write_tables(const comparison *c, FILE *f)
{
    static columns t;

    columns_make(&t, c);
    if (c->match)
        write_changes(c, f);
    for (uint32_t first = 0, end; first < t.n; first = end) {
        end = columns_group_end(&t, first);
        write_group(&t, first, end, f);
    }
    for (uint32_t i = 0; i < c->n; i++)
        if (c->items[i].quality.n_ablations && c->windows)
            write_ablation(&c->items[i], f);
}

/* ---- the page ------------------------------------------------------------------ */

static void write_command(const comparison *c, FILE *f)
{
    fputs("<p class=\"soft\"><code>", f);
    for (int i = 0; i < c->argc; i++) {
        const bool quote = !c->argv[i][0] || strpbrk(c->argv[i], " \"'$;&|<>*?()") != NULL;

        fputs(i ? " " : "", f);
        fputs(quote ? "'" : "", f);
        compare_escape(f, c->argv[i]);
        fputs(quote ? "'" : "", f);
    }
    fputs("</code></p>\n", f);
}

static void write_footer(const comparison *c, FILE *f)
{
    const time_t now = time(NULL);
    char date[64] = "", cpu[256], windows[160];
    struct tm utc;

    compare_processor(cpu, sizeof(cpu));
    if (gmtime_r(&now, &utc))
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M UTC", &utc);
    fprintf(f, "<footer><p>%s. ", date);
    compare_escape(f, cpu);
    fprintf(f, ", %u threads. KV cache in %s.", gla_threads(), gla_dtype_name(c->kv_dtype));
    if (c->windows)
        fprintf(f, " Quality: %s.", compare_windows_text(c, windows, sizeof(windows)));
    if (c->measured)
        fprintf(f, " Speed: medians of %u interleaved rounds, %u tokens decoded.", c->rounds,
                c->decode_tokens);
    if (c->n_probes)
        fprintf(f,
                " Recall: %u trials of each question; able: the right token gains at least ln 2 "
                "nats and the 95 %% interval lies above 0.",
                c->trials);
    if (c->measured && c->energy[0]) {
        fputs(" Joules: not known: ", f);
        compare_escape(f, c->energy);
        fputs(".", f);
    }
    if (c->interrupted)
        fputs(" Interrupted: this is what had been measured.", f);
    fputs("</p><p>", f);
    compare_escape(f, gla_build_info());
    fputs("</p></footer>\n", f);
}

int compare_write_page(const comparison *c, const char *path)
{
    cli_file out;
    FILE *f;

    if (!cli_file_open(&out, path))
        return cli_error("%s: %s", path, strerror(errno));
    f = out.f;
    fprintf(f,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
            "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
            "<title>gla-compare: %u candidates</title>\n<style>%s",
            c->n, style);
    compare_plot_style(f);
    fprintf(f, "</style></head><body>\n<h1>%u candidates side by side</h1>\n", c->n);
    write_command(c, f);
    fputs("<div class=\"plots\">\n", f);
    for (const compare_picture *p = compare_pictures; p->name; p++) {
        if (p->wanted && !p->wanted(c))
            continue;
        fprintf(f, "<figure><figcaption>%s</figcaption>\n", p->title);
        p->draw(c, f, false);
        fputs("</figure>\n", f);
    }
    fputs("</div>\n", f);
    write_tables(c, f);
    write_footer(c, f);
    fputs("</body></html>\n", f);
    return cli_file_close(&out) ? 0 : cli_error("%s: cannot write: %s", path, strerror(errno));
}
