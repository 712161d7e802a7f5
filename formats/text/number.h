/* SPDX-License-Identifier: Apache-2.0
 *
 * number.h - numbers in text files, the same on every machine
 *
 * Strict and free of the locale: no blanks, no sign where none belongs, no leftovers, no overflow.
 */
#ifndef GLA_FORMATS_TEXT_NUMBER_H
#define GLA_FORMATS_TEXT_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only. */
bool gla__parse_u64(const char *text, size_t n, uint64_t *out);
/* [+-] digits [. digits] [e [+-] digits], or .inf and -.inf as YAML spells them; not NaN.  A number
 * too large for a double is refused. */
bool gla__parse_f64(const char *text, size_t n, double *out);

#define GLA__NUMBER_TEXT 32
/* The shortest text that gla__parse_f64() reads as v again: "4", "0.5", "1.0e-6", ".inf". */
void gla__format_f64(double v, char text[GLA__NUMBER_TEXT]);

#endif
