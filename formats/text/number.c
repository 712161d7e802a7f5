/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* strtod_l */
#include "formats/text/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

bool gla__parse_u64(const char *text, size_t n, uint64_t *out)
{
    uint64_t v = 0;

    *out = 0;
    if (!n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        if (!gla__mul_u64(v, 10, &v) || !gla__add_u64(v, (uint64_t)(text[i] - '0'), &v))
            return false;
    }
    *out = v;
    return true;
}

/* Past the digits at `at`; equal to it when there are none. */
static size_t skip_digits(const char *text, size_t n, size_t at)
{
    while (at < n && text[at] >= '0' && text[at] <= '9')
        at++;
    return at;
}

static bool has_form_of_number(const char *text, size_t n)
{
    size_t at = n && (text[0] == '-' || text[0] == '+'), end, digits;

    end = skip_digits(text, n, at);
    digits = end - at;
    at = end;
    if (at < n && text[at] == '.') {
        end = skip_digits(text, n, at + 1);
        digits += end - at - 1;
        at = end;
    }
    if (!digits)
        return false;
    if (at < n && (text[at] == 'e' || text[at] == 'E')) {
        at++;
        if (at < n && (text[at] == '-' || text[at] == '+'))
            at++;
        end = skip_digits(text, n, at);
        if (end == at)
            return false;
        at = end;
    }
    return at == n;
}

static locale_t c_locale; /* 0: there was no memory for it */
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool gla__parse_f64(const char *text, size_t n, double *out)
{
    char copy[512];

    *out = 0;
    if ((n == 4 && !memcmp(text, ".inf", 4)) || (n == 5 && !memcmp(text, "-.inf", 5))) {
        *out = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (n >= sizeof(copy) || !has_form_of_number(text, n))
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    pthread_once(&c_locale_once, make_c_locale);
    if (!c_locale) /* the user's might read 1.5 as 1 */
        return false;
    *out = strtod_l(copy, NULL, c_locale); /* the form has been checked: it takes all of it */
    return isfinite(*out);
}

/* Whatever the user's locale writes for the point, which may be several bytes. */
static void set_point(char *text)
{
    char *to = text;

    for (const char *from = text; *from; from++)
        if (strchr("+-0123456789e", *from))
            *to++ = *from;
        else if (to == text || to[-1] != '.')
            *to++ = '.';
    *to = '\0';
}

/* 1e-06 -> 1.0e-6: what readers of YAML 1.1 take for a number too, and easier to read. */
static void tidy_exponent(char text[GLA__NUMBER_TEXT])
{
    char mantissa[GLA__NUMBER_TEXT];
    char *e = strchr(text, 'e');
    const char *digits;

    if (!e)
        return;
    digits = e + 2;
    while (digits[0] == '0') /* the exponent is never 0 */
        digits++;
    memcpy(mantissa, text, (size_t)(e - text));
    mantissa[e - text] = '\0';
    {
        char tidy[3 * GLA__NUMBER_TEXT];

        snprintf(tidy, sizeof(tidy), "%s%se%c%s", mantissa, strchr(mantissa, '.') ? "" : ".0", e[1],
                 digits);
        memcpy(text, tidy, strlen(tidy) + 1);
    }
}

void gla__format_f64(double v, char text[GLA__NUMBER_TEXT])
{
    double back;

    if (!isfinite(v)) {
        snprintf(text, GLA__NUMBER_TEXT, "%s", isnan(v) ? "nan" : v < 0 ? "-.inf" : ".inf");
        return;
    }
    if (v == floor(v) && fabs(v) < 1e15) {
        snprintf(text, GLA__NUMBER_TEXT, "%.0f", v);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) { /* 17 give every number back */
        snprintf(text, GLA__NUMBER_TEXT, "%.*g", precision, v);
        set_point(text);
        if (gla__parse_f64(text, strlen(text), &back) && back == v)
            break;
    }
    tidy_exponent(text);
}
