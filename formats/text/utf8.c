/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/text/utf8.h"

#include <string.h>
#include <utf8proc.h>

#include "base/alloc.h"
#include "base/checked.h"

gla_status gla__bytes_reserve(gla__bytes *b, size_t more)
{
    size_t need, room;
    char *p;

    if (!gla__add_size(b->n, more, &need))
        return GLA_E_NOMEM;
    if (need <= b->capacity)
        return GLA_OK;
    room = b->capacity < 64 ? 64 : b->capacity;
    while (room < need)
        if (!gla__mul_size(room, 2, &room))
            return GLA_E_NOMEM;
    p = gla__alloc(room);
    if (!p)
        return GLA_E_NOMEM;
    if (b->n)
        memcpy(p, b->p, b->n);
    gla__free(b->p);
    b->p = p;
    b->capacity = room;
    return GLA_OK;
}

gla_status gla__bytes_add(gla__bytes *b, const char *s, size_t n)
{
    gla_status st = gla__bytes_reserve(b, n);

    if (st)
        return st;
    if (n)
        memcpy(b->p + b->n, s, n);
    b->n += n;
    return GLA_OK;
}

gla_status gla__bytes_add_char(gla__bytes *b, int32_t c)
{
    utf8proc_uint8_t text[4];
    const utf8proc_ssize_t n = utf8proc_encode_char(c, text);

    return gla__bytes_add(b, (const char *)text, (size_t)n);
}

void gla__bytes_drop(gla__bytes *b, size_t n)
{
    b->n -= n;
    if (b->n)
        memmove(b->p, b->p + n, b->n);
}

void gla__bytes_free(gla__bytes *b)
{
    gla__free(b->p);
    memset(b, 0, sizeof(*b));
}

/* Whether a character can begin with these k bytes, which are none themselves: a second byte is
 * bounded below or above, never both, and all others are free. */
static bool begins_character(const char *s, size_t k)
{
    utf8proc_uint8_t low[4], high[4];
    utf8proc_int32_t c;

    memset(low, 0x80, sizeof(low));
    memset(high, 0xbf, sizeof(high));
    memcpy(low, s, k);
    memcpy(high, s, k);
    return utf8proc_iterate(low, sizeof(low), &c) > 0 ||
           utf8proc_iterate(high, sizeof(high), &c) > 0;
}

int gla__utf8_check(const char *s, size_t n)
{
    utf8proc_int32_t c;
    const utf8proc_ssize_t size =
        utf8proc_iterate((const utf8proc_uint8_t *)s, n < 4 ? (utf8proc_ssize_t)n : 4, &c);
    int k = 0;

    if (size > 0)
        return (int)size;
    while (k < 3 && (size_t)k < n && begins_character(s, (size_t)k + 1))
        k++;
    if ((size_t)k == n)
        return 0;
    return k ? -k : -1;
}

size_t gla__utf8_valid(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        uint64_t word;
        int step;

        if (n - i >= sizeof(word)) { /* eight ASCII bytes at once */
            memcpy(&word, s + i, sizeof(word));
            if (!(word & UINT64_C(0x8080808080808080))) {
                i += sizeof(word);
                continue;
            }
        }
        step = gla__utf8_check(s + i, n - i);
        if (step <= 0)
            return i;
        i += (size_t)step;
    }
    return n;
}

int32_t gla__utf8_next(const char *s, size_t *size)
{
    const unsigned char *u = (const unsigned char *)s;

    if (u[0] < 0x80) {
        *size = 1;
        return u[0];
    }
    if (u[0] < 0xe0) {
        *size = 2;
        return (u[0] & 0x1f) << 6 | (u[1] & 0x3f);
    }
    if (u[0] < 0xf0) {
        *size = 3;
        return (u[0] & 0x0f) << 12 | (u[1] & 0x3f) << 6 | (u[2] & 0x3f);
    }
    *size = 4;
    return (u[0] & 0x07) << 18 | (u[1] & 0x3f) << 12 | (u[2] & 0x3f) << 6 | (u[3] & 0x3f);
}

int32_t gla__utf8_last(const char *s, size_t n)
{
    size_t i = n - 1, size;

    while (i > 0 && gla__utf8_inside(s[i]))
        i--;
    return gla__utf8_next(s + i, &size);
}

bool gla__is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

bool gla__is_mark(int32_t c)
{
    const utf8proc_category_t k = utf8proc_category(c);

    return k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || k == UTF8PROC_CATEGORY_ME;
}

bool gla__is_word(int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
        return true;
    default: /* letters in circles and squares are Alphabetic, the two joiners Join_Control */
        return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
               (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189) || c == 0x200c ||
               c == 0x200d;
    }
}

bool gla__is_number(int32_t c)
{
    const utf8proc_category_t k = utf8proc_category(c);

    return k == UTF8PROC_CATEGORY_ND || k == UTF8PROC_CATEGORY_NL || k == UTF8PROC_CATEGORY_NO;
}

bool gla__is_punctuation(int32_t c)
{
    if (c < 0x80)
        return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
               (c >= '{' && c <= '~');
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return true;
    default:
        return false;
    }
}

/* Printable Latin-1 stands for itself; the 68 others follow from U+0100 on, in order: 0-32, 127-160
 * and 173. */
int32_t gla__byte_to_char(unsigned char byte)
{
    if (byte <= 32)
        return 256 + byte;
    if (byte >= 127 && byte <= 160)
        return 256 + 33 + (byte - 127);
    return byte == 173 ? 256 + 67 : byte;
}

int gla__char_to_byte(int32_t c)
{
    if (c >= 256 && c <= 256 + 32)
        return c - 256;
    if (c >= 256 + 33 && c <= 256 + 66)
        return c - 256 - 33 + 127;
    if (c == 256 + 67)
        return 173;
    return c < 256 && gla__byte_to_char((unsigned char)c) == c ? c : -1;
}

gla_status gla__bytes_add_mapped(gla__bytes *b, const char *s, size_t n)
{
    gla_status st = GLA_OK;

    for (size_t i = 0; i < n && !st; i++)
        st = gla__bytes_add_char(b, gla__byte_to_char((unsigned char)s[i]));
    return st;
}
