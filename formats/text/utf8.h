/* SPDX-License-Identifier: Apache-2.0
 *
 * utf8.h - growing byte strings, UTF-8, and the character classes tokenizers use
 *
 * Classes are those of Rust's standard library and regex crate, in which the published tokenizers
 * are written.  A gla__bytes belongs to whoever declares it; zeroed is empty.
 */
#ifndef GLA_FORMATS_TEXT_UTF8_H
#define GLA_FORMATS_TEXT_UTF8_H

#include <gla/status.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct gla__bytes {
    char *p;
    size_t n, capacity;
} gla__bytes;

gla_status gla__bytes_reserve(gla__bytes *b, size_t more);
gla_status gla__bytes_add(gla__bytes *b, const char *s, size_t n);
gla_status gla__bytes_add_char(gla__bytes *b, int32_t c); /* a code point, as UTF-8 */
void gla__bytes_drop(gla__bytes *b, size_t n);            /* the first n */
void gla__bytes_free(gla__bytes *b);

/* The first character of s: its length; 0 if s ends inside it; -k if the first k bytes begin no
 * character (k is what Unicode calls the maximal subpart, replaced by one U+FFFD). */
int gla__utf8_check(const char *s, size_t n);
/* Offset of the first byte that is not UTF-8, n if all is well. */
size_t gla__utf8_valid(const char *s, size_t n);
/* Not the first byte of a character. */
static inline bool gla__utf8_inside(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}
/* Of valid text, n > 0: the code point; *size is its length. */
int32_t gla__utf8_next(const char *s, size_t *size);
/* The code point that ends at s + n, n > 0. */
int32_t gla__utf8_last(const char *s, size_t n);

bool gla__is_space(int32_t c);       /* White_Space */
bool gla__is_word(int32_t c);        /* \w */
bool gla__is_number(int32_t c);      /* Nd, Nl, No */
bool gla__is_punctuation(int32_t c); /* P*, and all of ASCII's */
bool gla__is_mark(int32_t c);        /* Mn, Mc, Me */

/* GPT-2's map of bytes to printable characters, and back (-1: the character stands for none). */
int32_t gla__byte_to_char(unsigned char byte);
int gla__char_to_byte(int32_t c);
gla_status gla__bytes_add_mapped(gla__bytes *b, const char *s, size_t n);

#endif
