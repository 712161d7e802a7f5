/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokenizers and chat templates when the n-th allocation fails, for every n: an error that says so
 * and nothing left behind, or the same result as ever.
 */
#include <gla/arch.h>
#include <gla/chat.h>
#include <gla/gla.h>
#include <gla/tokenizer.h>

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static long left, taken; /* allocations still to succeed; blocks in use */

static void *failing_alloc(void *ctx, size_t bytes, size_t alignment)
{
    (void)ctx;
    if (left == 0)
        return NULL;
    left--;
    taken++;
    return aligned_alloc(alignment, bytes);
}

static void counted_free(void *ctx, void *p)
{
    (void)ctx;
    taken--;
    free(p);
}

/* Runs once() with more and more memory until it succeeds. */
static void fail_every_allocation(gla_status (*once)(void), long at_least)
{
    const gla_allocator hook = {failing_alloc, counted_free, NULL};
    gla_status st = GLA_E_NOMEM;
    long n;

    gla_set_allocator(&hook);
    for (n = 0; st; n++) {
        left = n;
        st = once();
        cr_assert(st == GLA_OK || st == GLA_E_NOMEM, "allocation %ld: status %d", n, st);
        cr_assert_eq(taken, 0, "allocation %ld: %ld blocks are left", n, taken);
        cr_assert_lt(n, 20000);
    }
    gla_set_allocator(NULL);
    cr_assert_geq(n, at_least);
}

static const char tokenizer[] =
    "{\"added_tokens\":[{\"id\":7,\"content\":\"<x>\",\"special\":true},"
    "{\"id\":8,\"content\":\"e\\u0301 \",\"normalized\":true}],"
    "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},"
    "{\"type\":\"Prepend\",\"prepend\":\"_\"},"
    "{\"type\":\"Replace\",\"pattern\":{\"Regex\":\" +\"},\"content\":\"_\"}]},"
    "\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
    "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+\"},\"behavior\":\"MergedWithNext\"},"
    "{\"type\":\"Metaspace\",\"replacement\":\"_\"}]},"
    "\"decoder\":{\"type\":\"Sequence\",\"decoders\":["
    "{\"type\":\"Replace\",\"pattern\":{\"String\":\"_\"},\"content\":\" \"},"
    "{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},"
    "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":1}]},"
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"?\",\"vocab\":{\"?\":0,"
    "\"_\":1,\"a\":2,\"b\":3,\"ab\":4,\"_ab\":5,\"<0xC3>\":6,\"<0xA9>\":9},"
    "\"merges\":[[\"a\",\"b\"],[\"_\",\"ab\"]]}}";

static gla_status tokenize(void)
{
    static const int32_t want[] = {5, 7, 1, 2, 1, 6, 9, 0, 1, 2};
    gla_tokenizer *t;
    int32_t *ids;
    size_t n, size;
    char *text;
    gla_status st = gla_tokenizer_parse(tokenizer, strlen(tokenizer), "t", &t, NULL);

    if (st)
        return st;
    st = gla_tokenizer_encode(t, "ab<x>a e\xcc\x81x a", 13, 0, &ids, &n, NULL);
    if (!st) {
        cr_expect(n == sizeof(want) / sizeof(*want) && !memcmp(ids, want, sizeof(want)));
        st = gla_tokenizer_decode(t, ids, n, 1, &text, &size, NULL);
        if (!st)
            cr_expect_str_eq(text, "ab a \xc3\xa9? a");
        gla_text_free(text);
    }
    gla_ids_free(ids);
    gla_tokenizer_close(&t);
    return st;
}

Test(text_memory, tokenizer)
{
    fail_every_allocation(tokenize, 50);
}

static const char chat[] =
    "{% macro m(a, b='\\u00e9') %}{{ a | upper ~ b * 3 }}{% endmacro %}"
    "{% set ns = namespace(n=0) %}{% for x in messages[::-1] if x.role != 'system' %}"
    "{% set ns.n = ns.n + loop.index %}{{ m(x.content) }}{{ x | tojson(indent=1) }}"
    "{{ x.content.split(' ') | map('trim') | join('-') }}{% endfor %}{{ ns.n }}{{ 0.5 + 1 }}"
    "{% set t %}{{ eos_token }}{% endset %}{{ t.replace('s', 'z') }}";

static gla_status render(void)
{
    static const gla_chat_message messages[] = {{"system", "s"}, {"user", "a b"}};
    gla_chat_template *t;
    char *text;
    size_t size;
    gla_status st = gla_chat_template_parse(chat, strlen(chat), "t", NULL, "</s>", &t, NULL);

    if (st)
        return st;
    st = gla_chat_template_render(t, messages, 2, 0, NULL, &text, &size, NULL);
    if (!st)
        cr_expect_str_eq(text, "A B\xc3\xa9\xc3\xa9\xc3\xa9{\n \"role\": \"user\",\n \"content\": "
                               "\"a b\"\n}a-b11.5</z>");
    gla_text_free(text);
    gla_chat_template_close(&t);
    return st;
}

Test(text_memory, chat_template)
{
    fail_every_allocation(render, 10);
}
