/* SPDX-License-Identifier: Apache-2.0
 *
 * Against vectors of Jinja2 set up as transformers does (tests/data/chat/make_vectors.py).
 */
#include <gla/arch.h>
#include <gla/chat.h>

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATA GLA_SOURCE_DIR "/tests/data/chat/"

static gla_status render_json(gla_chat_template *t, const json_t *variables, char **text,
                              size_t *size, gla_diag *diag)
{
    json_t *all = json_deep_copy(variables);
    char *given;
    gla_status st;

    json_object_set_new(all, "strftime_now", json_integer(1732240000));
    given = json_dumps(all, 0);
    st = gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, given, text, size, diag);
    free(given);
    json_decref(all);
    return st;
}

/* 1 if the vector fails. */
static int check(const json_t *vector)
{
    const char *file = json_string_value(json_object_get(vector, "template"));
    const char *source = json_string_value(json_object_get(vector, "source"));
    const json_t *want = json_object_get(vector, "text");
    gla_chat_template *t;
    gla_diag diag;
    gla_status st;
    char path[512], message[900], *text = NULL;
    size_t size = 0;
    int bad;

    snprintf(path, sizeof(path), DATA "%s", file ? file : "");
    st = source ? gla_chat_template_parse(source, strlen(source), "snippet", NULL, NULL, &t, &diag)
                : gla_chat_template_open(path, &t, &diag);
    if (!st)
        st = render_json(t, json_object_get(vector, "variables"), &text, &size, &diag);
    bad = want ? st || size != json_string_length(want) ||
                     memcmp(text, json_string_value(want), size) != 0
               : !st;
    if (bad)
        fprintf(stderr, "%s\n  got %s\n  expected %s\n", source ? source : file,
                st ? gla_diag_format(&diag, message, sizeof(message))
                   : json_dumps(json_stringn(text, size), JSON_ENCODE_ANY),
                want ? json_dumps(want, JSON_ENCODE_ANY) : "an error");
    gla_text_free(text);
    gla_chat_template_free(t);
    return bad;
}

Test(chat, renders_as_jinja_does)
{
    json_t *vectors = json_load_file(DATA "vectors.json", 0, NULL);
    const json_t *v;
    size_t i;
    int bad = 0;

    setenv("TZ", "UTC", 1);
    cr_assert_not_null(vectors);
    json_array_foreach(vectors, i, v) bad += check(v);
    cr_assert_geq(i, 1100);
    cr_expect_eq(bad, 0, "%d of %zu vectors", bad, i);
    json_decref(vectors);
}

/* head, n times unit, tail */
static char *repeat(const char *head, const char *unit, size_t n, const char *tail)
{
    char *s = malloc(strlen(head) + n * strlen(unit) + strlen(tail) + 1), *p = s;

    p += sprintf(p, "%s", head);
    for (size_t i = 0; i < n; i++)
        p += sprintf(p, "%s", unit);
    sprintf(p, "%s", tail);
    return s;
}

Test(chat, bounds_nesting)
{
    static const char *const parts[][3] = {
        {"{{ ", "(", "1 }}"},        {"{{ ", "[", "1 }}"},
        {"{{ ", "not ", "1 }}"},     {"{{ ", "-", "1 }}"},
        {"", "{% if 1 %}", ""},      {"", "{% for a in b %}", ""},
        {"{{ 1", " + 1", " }}"},     {"{{ a", ".b", " }}"},
        {"{{ a", " | trim", " }}"},  {"{{ a", " or a", " }}"},
        {"{{ a", "[0]", " }}"},      {"{{ ", "1 if 0 else ", "1 }}"},
        {"{{ a", " is none", " }}"}, {"{{ ", "{'a':", "1 }}"},
        {"{{ a", "()", " }}"},       {"{% if 0 %}", "{% elif 0 %}", ""},
    };

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
        char *source = repeat(parts[i][0], parts[i][1], 20000, parts[i][2]);
        gla_chat_template *t;
        char *text = NULL;
        size_t size;
        gla_status st = gla_chat_template_parse(source, strlen(source), "t", NULL, NULL, &t, NULL);

        if (!st)
            st = gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, NULL, &text,
                                          &size, NULL);
        cr_expect_neq(st, GLA_OK, "%s", parts[i][1]);
        gla_chat_template_free(t);
        free(source);
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    fputs(text, f);
    fclose(f);
}

Test(chat, finds_the_template_beside_the_tokenizer)
{
    static const char config[] =
        "{\"bos_token\": {\"content\": \"<s>\"}, \"eos_token\": \"</s>\", \"chat_template\": "
        "[{\"name\": \"tool_use\", \"template\": \"no\"}, {\"name\": \"default\", \"template\": "
        "\"{{ bos_token }}{% for m in messages %}{{ m.role }}:{{ m.content }}{{ eos_token }}"
        "{% endfor %}{% if add_generation_prompt %}>{% endif %}\"}]}";
    static const gla_chat_message chat[] = {{"user", "hi"}, {"assistant", "ho"}};
    static const gla_chat_message broken[] = {{"user", "hi"}, {"assistant", "h\xff"}};
    char dir[] = "/tmp/test_chat_XXXXXX", path[128];
    gla_chat_template *t;
    gla_diag diag;
    char *text;
    size_t size;

    cr_assert_not_null(mkdtemp(dir));
    cr_expect_eq(gla_chat_template_open(dir, &t, &diag), GLA_E_UNSUPPORTED);
    cr_expect_str_eq(diag.message, "the model has no chat template");
    snprintf(path, sizeof(path), "%s/tokenizer_config.json", dir);
    write_file(path, config);
    cr_assert_eq(gla_chat_template_open(dir, &t, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_chat_template_render(t, chat, 2, sizeof(gla_chat_message), GLA_CHAT_GENERATE,
                                          NULL, &text, &size, &diag),
                 GLA_OK);
    cr_expect_str_eq(text, "<s>user:hi</s>assistant:ho</s>>");
    gla_text_free(text);
    cr_expect_eq(gla_chat_template_render(t, chat, 2, sizeof(gla_chat_message), 0, "[1]", &text,
                                          &size, &diag),
                 GLA_E_INVALID);
    cr_expect_null(text);
    cr_expect_eq(
        gla_chat_template_render(t, chat, 2, sizeof(gla_chat_message), 0, "{", &text, &size, &diag),
        GLA_E_CORRUPT);
    cr_expect_eq(gla_chat_template_render(t, broken, 2, sizeof(gla_chat_message), 0, NULL, &text,
                                          &size, &diag),
                 GLA_E_INVALID);
    cr_expect_str_eq(diag.message, "message 1 is not UTF-8");
    gla_chat_template_free(t);

    snprintf(path, sizeof(path), "%s/chat_template.jinja", dir);
    write_file(path, "{{ eos_token }}{{ messages | length }}\n\n"); /* the file wins */
    cr_assert_eq(gla_chat_template_open(dir, &t, &diag), GLA_OK, "%s", diag.message);
    cr_assert_eq(gla_chat_template_render(t, chat, 1, sizeof(gla_chat_message), 0, NULL, &text,
                                          &size, &diag),
                 GLA_OK);
    cr_expect_str_eq(text, "</s>1\n");
    gla_text_free(text);
    gla_chat_template_free(t);
    cr_expect_eq(unlink(path), 0);
    snprintf(path, sizeof(path), "%s/tokenizer_config.json", dir);
    cr_expect_eq(unlink(path), 0);
    cr_expect_eq(rmdir(dir), 0);
}

/* What a configuration may hold besides a text: each is "no template". */
Test(chat, looks_for_the_default_template_only)
{
    static const struct {
        const char *config;
        gla_status status;
    } cases[] = {
        {"{\"chat_template\": \"a\"}", GLA_OK},
        {"{\"chat_template\": [{\"name\": \"default\", \"template\": \"a\"}]}", GLA_OK},
        {"{\"chat_template\": [{\"name\": 5}, {}, {\"name\": \"x\", \"template\": \"a\"}]}",
         GLA_E_UNSUPPORTED},
        {"{\"chat_template\": []}", GLA_E_UNSUPPORTED},
        {"{\"chat_template\": [{\"name\": \"default\"}]}", GLA_E_UNSUPPORTED},
        {"{\"chat_template\": {\"default\": \"a\"}}", GLA_E_UNSUPPORTED},
        {"{\"chat_template\": null}", GLA_E_UNSUPPORTED},
        {"{}", GLA_E_UNSUPPORTED},
        {"{", GLA_E_CORRUPT},
        {"{\"chat_template\": \"{{ a\"}", GLA_E_CORRUPT},
    };
    char dir[] = "/tmp/test_chat_XXXXXX", path[64];

    cr_assert_not_null(mkdtemp(dir));
    snprintf(path, sizeof(path), "%s/config.json", dir);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        gla_chat_template *t;
        gla_diag diag;
        char *text = NULL;
        size_t size;

        write_file(path, cases[i].config);
        cr_expect_eq(gla_chat_template_open(path, &t, &diag), cases[i].status, "%s: %s",
                     cases[i].config, diag.message);
        if (t)
            cr_expect_eq(gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, NULL,
                                                  &text, &size, NULL),
                         GLA_OK);
        if (t)
            cr_expect_str_eq(text, "a");
        else
            cr_expect_str_eq(diag.where, path);
        gla_text_free(text);
        gla_chat_template_free(t);
    }
    cr_expect_eq(unlink(path), 0);
    cr_expect_eq(rmdir(dir), 0);
    gla_chat_template_free(NULL);
}

static void expect_rendered(const char *source, size_t n, const char *want)
{
    gla_chat_template *t;
    char *text;
    size_t size;

    cr_assert_eq(gla_chat_template_parse(source, n, "t", "<s>", "</s>", &t, NULL), GLA_OK, "%s",
                 source);
    cr_assert_eq(
        gla_chat_template_render(t, NULL, 0, sizeof(gla_chat_message), 0, NULL, &text, &size, NULL),
        GLA_OK);
    cr_expect_str_eq(text, want, "%s: \"%s\"", source, text);
    gla_text_free(text);
    gla_chat_template_free(t);
}

/* Line ends are one, as Jinja reads a text; the last is dropped.  A generation block, which
 * transformers adds to Jinja, is its body. */
Test(chat, reads_line_ends_and_generation_blocks)
{
    static const char *const cases[][2] = {
        {"a\r\nb\rc\nd\r", "a\nb\nc\nd"},
        {"a\r\n", "a"},
        {"a\r\r\n\n", "a\n\n"},
        {"", ""},
        {"\n", ""},
        {"a{% generation %}b{{ 1 }}{% if 1 %}c{% endif %}{% endgeneration %}d", "ab1cd"},
        {"{% generation %}{% endgeneration %}x{% generation %}y{% endgeneration %}", "xy"},
        {"{{ bos_token }}{{ eos_token }}", "<s></s>"},
        {"{{ 1\n\n+ 1 }}", "2"},
        {"{", "{"},
        {"a{", "a{"},
        {"a{}", "a{}"},
    };
    gla_chat_template *t;
    gla_diag diag;
    char *large = repeat("", "0123456789abcdef", 65536, "x");

    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        expect_rendered(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    cr_expect_eq(gla_chat_template_parse("a\xc3", 2, "t", NULL, NULL, &t, &diag), GLA_E_CORRUPT);
    cr_expect_str_eq(diag.message, "chat template is not UTF-8 at byte 1");
    cr_expect_eq(gla_chat_template_parse(large, strlen(large), "t", NULL, NULL, &t, &diag),
                 GLA_E_LIMIT);
    cr_expect_str_eq(diag.message, "chat template of 1048577 bytes, at most 1048576");
    free(large);
}
