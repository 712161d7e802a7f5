/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/text/number.h"

#include <locale.h>
#include <math.h>
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

/* The calling thread uses the C locale between these two. */
static locale_t enter_c_locale(locale_t *old)
{
    const locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);

    *old = c ? uselocale(c) : (locale_t)0;
    return c;
}

static void leave_c_locale(locale_t c, locale_t old)
{
    if (!c)
        return;
    uselocale(old);
    freelocale(c);
}

bool gla__parse_f64(const char *text, size_t n, double *out)
{
    char copy[512];
    locale_t c, old;

    *out = 0;
    if ((n == 4 && !memcmp(text, ".inf", 4)) || (n == 5 && !memcmp(text, "-.inf", 5))) {
        *out = text[0] == '-' ? -INFINITY : INFINITY;
        return true;
    }
    if (n >= sizeof(copy) || !has_form_of_number(text, n))
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    c = enter_c_locale(&old);
    *out = strtod(copy, NULL); /* the form has been checked: it takes all of it */
    leave_c_locale(c, old);
    return isfinite(*out);
}

/* 1e-06 -> 1.0e-6: what readers of YAML 1.1 take for a number too, and easier to read. */
static void tidy_exponent(char text[GLA_NUMBER_TEXT])
{
    char mantissa[GLA_NUMBER_TEXT];
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
        char tidy[3 * GLA_NUMBER_TEXT];

        snprintf(tidy, sizeof(tidy), "%s%se%c%s", mantissa, strchr(mantissa, '.') ? "" : ".0", e[1],
                 digits);
        memcpy(text, tidy, strlen(tidy) + 1);
    }
}

void gla__format_f64(double v, char text[GLA_NUMBER_TEXT])
{
    locale_t c, old;

    if (isinf(v)) {
        memcpy(text, v < 0 ? "-.inf" : ".inf", v < 0 ? 6 : 5);
        return;
    }
    c = enter_c_locale(&old);
    if (v == floor(v) && fabs(v) < 1e15) {
        snprintf(text, GLA_NUMBER_TEXT, "%.0f", v);
    } else {
        for (int precision = 1; precision <= 17; precision++) {
            snprintf(text, GLA_NUMBER_TEXT, "%.*g", precision, v);
            if (strtod(text, NULL) == v)
                break;
        }
        tidy_exponent(text);
    }
    leave_c_locale(c, old);
}
