/* SPDX-License-Identifier: Apache-2.0
 *
 * test_arch_schema.c - docs/arch.schema.json says of a file what gla says of it
 *
 * YAML becomes JSON as an editor reads it (YAML 1.2, core schema), and is held against the schema
 * by a validator of the keywords that the schema uses; another keyword fails the test.
 */
#include <criterion/criterion.h>
#include <gla/gla.h>
#include <glob.h>
#include <jansson.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/text/yaml.h"

/* ---- YAML as an editor reads it --------------------------------------------- */

static bool matches(const char *pattern, const char *text)
{
    regex_t regex;
    bool found;

    cr_assert_eq(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0, "%s", pattern);
    found = !regexec(&regex, text, 0, NULL, 0);
    regfree(&regex);
    return found;
}

static json_t *scalar(const gla__yaml *y)
{
    const char *t = y->text;

    if (!y->plain)
        return json_string(t);
    if (matches("^(null|Null|NULL|~|)$", t))
        return json_null();
    if (matches("^(true|True|TRUE|false|False|FALSE)$", t))
        return json_boolean(*t == 't' || *t == 'T');
    if (matches("^[-+]?[0-9]{1,18}$", t))
        return json_integer(strtoll(t, NULL, 10));
    if (matches("^[-+]?(\\.[0-9]+|[0-9]+(\\.[0-9]*)?)([eE][-+]?[0-9]+)?$", t))
        return json_real(strtod(t, NULL));
    if (matches("^[-+]?\\.(inf|Inf|INF)$", t)) /* a number that JSON cannot write */
        return json_real(1e308);
    return json_string(t);
}

static json_t *to_json(const gla__yaml *y)
{
    json_t *j;

    if (y->kind == GLA__YAML_SCALAR)
        return scalar(y);
    j = y->kind == GLA__YAML_MAP ? json_object() : json_array();
    for (const gla__yaml *c = y->first; c; c = c->next)
        if (y->kind == GLA__YAML_MAP)
            json_object_set_new(j, c->key, to_json(c));
        else
            json_array_append_new(j, to_json(c));
    return j;
}

/* ---- the validator ------------------------------------------------------------ */

static json_t *schema;

static bool valid(json_t *rules, json_t *v);

static bool is_type(const char *type, json_t *v)
{
    if (!strcmp(type, "integer"))
        return json_is_integer(v) ||
               (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
    if (!strcmp(type, "object"))
        return json_is_object(v);
    if (!strcmp(type, "array"))
        return json_is_array(v);
    if (!strcmp(type, "string"))
        return json_is_string(v);
    if (!strcmp(type, "boolean"))
        return json_is_boolean(v);
    cr_assert_str_eq(type, "number");
    return json_is_number(v);
}

static bool one_type(json_t *types, json_t *v)
{
    size_t i;
    json_t *t;

    if (json_is_string(types))
        return is_type(json_string_value(types), v);
    json_array_foreach(types, i, t) if (is_type(json_string_value(t), v)) return true;
    return false;
}

static bool known(json_t *rules, const char *key)
{
    const char *pattern;
    json_t *ignored;

    if (json_object_get(json_object_get(rules, "properties"), key))
        return true;
    json_object_foreach(json_object_get(rules, "patternProperties"), pattern,
                        ignored) if (matches(pattern, key)) return true;
    return false;
}

static bool check_object(const char *word, json_t *rule, json_t *rules, json_t *v)
{
    const char *key, *name;
    json_t *sub, *member;
    size_t i;

    if (!json_is_object(v))
        return true;
    if (!strcmp(word, "required"))
        json_array_foreach(rule, i, sub)
        {
            if (!json_object_get(v, json_string_value(sub)))
                return false;
        }
    if (!strcmp(word, "minProperties"))
        return json_object_size(v) >= (size_t)json_integer_value(rule);
    json_object_foreach(v, key, member)
    {
        if (!strcmp(word, "additionalProperties") && !known(rules, key))
            return false;
        if (!strcmp(word, "properties") && (sub = json_object_get(rule, key)) != NULL &&
            !valid(sub, member))
            return false;
        if (!strcmp(word, "patternProperties"))
            json_object_foreach(rule, name, sub)
            {
                if (matches(name, key) && !valid(sub, member))
                    return false;
            }
    }
    return true;
}

static bool check_array(const char *word, json_t *rule, json_t *v)
{
    json_t *item;
    size_t i;

    if (!json_is_array(v))
        return true;
    if (!strcmp(word, "minItems"))
        return json_array_size(v) >= (size_t)json_integer_value(rule);
    if (!strcmp(word, "maxItems"))
        return json_array_size(v) <= (size_t)json_integer_value(rule);
    json_array_foreach(v, i, item) if (!valid(rule, item)) return false;
    return true;
}

static size_t count_valid(json_t *list, json_t *v)
{
    size_t i, n = 0;
    json_t *rules;

    json_array_foreach(list, i, rules) n += valid(rules, v);
    return n;
}

static bool one_of(const char *words, const char *word)
{
    const char *at = strstr(words, word);
    const size_t n = strlen(word);

    return at && (at == words || at[-1] == ' ') && (!at[n] || at[n] == ' ');
}

/* "#/$defs/layers/mixer" */
static json_t *referred(const char *path)
{
    json_t *found = schema;

    for (const char *name = path + strlen("#/"); found && name; name = strchr(name, '/')) {
        name += *name == '/';
        found = json_object_getn(found, name, strcspn(name, "/"));
    }
    return found;
}

static bool check(const char *word, json_t *rule, json_t *rules, json_t *v)
{
    size_t i, n = 0;
    json_t *item;

    if (one_of("$schema title description default $defs then", word))
        return true;
    if (one_of("properties required patternProperties additionalProperties minProperties", word))
        return check_object(word, rule, rules, v);
    if (one_of("items minItems maxItems", word))
        return check_array(word, rule, v);
    if (!strcmp(word, "$ref"))
        return valid(referred(json_string_value(rule)), v);
    if (!strcmp(word, "type"))
        return one_type(rule, v);
    if (!strcmp(word, "const"))
        return json_equal(rule, v);
    if (!strcmp(word, "enum")) {
        json_array_foreach(rule, i, item) n += (size_t)json_equal(item, v);
        return n > 0;
    }
    if (!strcmp(word, "oneOf"))
        return count_valid(rule, v) == 1;
    if (!strcmp(word, "anyOf"))
        return count_valid(rule, v) > 0;
    if (!strcmp(word, "allOf"))
        return count_valid(rule, v) == json_array_size(rule);
    if (!strcmp(word, "not"))
        return !valid(rule, v);
    if (!strcmp(word, "if"))
        return !valid(rule, v) || valid(json_object_get(rules, "then"), v);
    if (!strcmp(word, "minimum"))
        return !json_is_number(v) || json_number_value(v) >= json_number_value(rule);
    if (!strcmp(word, "maximum"))
        return !json_is_number(v) || json_number_value(v) <= json_number_value(rule);
    if (!strcmp(word, "minLength"))
        return !json_is_string(v) || json_string_length(v) >= (size_t)json_integer_value(rule);
    if (!strcmp(word, "pattern"))
        return !json_is_string(v) || matches(json_string_value(rule), json_string_value(v));
    cr_assert_fail("the schema uses '%s', which this test does not know", word);
    return false;
}

static bool valid(json_t *rules, json_t *v)
{
    const char *word;
    json_t *rule;

    cr_assert(json_is_object(rules), "a $ref leads nowhere");
    json_object_foreach(rules, word, rule) if (!check(word, rule, rules, v)) return false;
    return true;
}

static bool schema_accepts(const char *text, const char *name)
{
    gla__yaml_doc doc;
    gla_diag diag;
    json_t *j;
    bool ok;

    if (!schema) {
        schema =
            json_load_file(GLA_SOURCE_DIR "/docs/arch.schema.json", JSON_REJECT_DUPLICATES, NULL);
        cr_assert_not_null(schema, "docs/arch.schema.json is no JSON");
    }
    cr_assert_eq(gla__yaml_parse(text, strlen(text), &doc, &diag), GLA_OK, "%s: %s", name,
                 diag.message);
    j = to_json(doc.root);
    ok = valid(schema, j);
    json_decref(j);
    gla__yaml_free(&doc);
    return ok;
}

static bool gla_accepts(const char *text)
{
    gla_arch *arch = NULL;
    gla_diag diag;
    const bool ok = !gla_arch_parse(text, strlen(text), "x", &arch, &diag);

    gla_arch_free(arch);
    return ok;
}

/* The layers too. */
static bool gla_describes(const char *text)
{
    gla_description *d = NULL;
    gla_registry *registry;
    gla_arch *arch;
    gla_diag diag;
    bool ok;

    cr_assert_eq(gla_arch_parse(text, strlen(text), "x", &arch, &diag), GLA_OK, "%s", text);
    cr_assert_eq(gla_registry_create(NULL, &registry, &diag), GLA_OK);
    ok = !gla_describe(arch, registry, &d, &diag);
    gla_description_free(d);
    gla_registry_free(registry);
    gla_arch_free(arch);
    return ok;
}

/* ---- tests ------------------------------------------------------------------------ */

static size_t check_files(const char *pattern)
{
    glob_t found;
    size_t n;

    cr_assert_eq(glob(pattern, 0, NULL, &found), 0, "%s", pattern);
    for (n = 0; n < found.gl_pathc; n++) {
        gla_diag diag;
        size_t size;
        char *text;

        cr_assert_eq(gla__read_all(found.gl_pathv[n], 1 << 20, &text, &size, &diag), GLA_OK);
        cr_expect(schema_accepts(text, found.gl_pathv[n]), "%s", found.gl_pathv[n]);
        gla__free(text);
    }
    globfree(&found);
    return n;
}

Test(arch_schema, accepts_every_architecture_of_the_tree)
{
    cr_expect_gt(check_files(GLA_SOURCE_DIR "/configs/*.yaml"), 15);
    cr_expect_gt(check_files(GLA_SOURCE_DIR "/models/*/arch.yaml"), 0);
}

/* What importers write uses every corner of the format. */
Test(arch_schema, accepts_what_importers_write)
{
    glob_t found;

    cr_assert_eq(glob(GLA_SOURCE_DIR "/tests/reference/*/config.json", 0, NULL, &found), 0);
    cr_expect_gt(found.gl_pathc, 50);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        gla_arch *arch;
        gla_diag diag;
        size_t size;
        char *text;

        cr_assert_eq(gla_convert_config(found.gl_pathv[i], &arch, NULL, &diag), GLA_OK);
        cr_assert_eq(gla_arch_print(arch, &text, &size, &diag), GLA_OK);
        cr_expect(schema_accepts(text, found.gl_pathv[i]), "%s:\n%s", found.gl_pathv[i], text);
        gla_text_free(text);
        gla_arch_free(arch);
    }
    globfree(&found);
}

#define HEAD   "gla: 1\nvocab_size: 10\nd_model: 4\n"
#define BLOCK  "blocks: {a: {mixer: x.y}}\n"
#define LAYERS "layers: a\n"

Test(arch_schema, refuses_what_gla_refuses)
{
    static const char *const bad[] = {
        "hello",
        "- 1\n",
        "gla: 2\nvocab_size: 10\nd_model: 4\n" BLOCK LAYERS,
        "vocab_size: 10\nd_model: 4\n" BLOCK LAYERS,
        "gla: 1\nd_model: 4\n" BLOCK LAYERS,
        "gla: 1\nvocab_size: 10\n" BLOCK LAYERS,
        HEAD LAYERS,
        HEAD BLOCK,
        "gla: 1\nvocab_size: 0\nd_model: 4\n" BLOCK LAYERS,
        "gla: 1\nvocab_size: 16777217\nd_model: 4\n" BLOCK LAYERS,
        "gla: 1\nvocab_size: 1.5\nd_model: 4\n" BLOCK LAYERS,
        "gla: 1\nvocab_size: '10'\nd_model: 4\n" BLOCK LAYERS,
        HEAD BLOCK LAYERS "max_positions: 0\n",
        HEAD BLOCK LAYERS "colour: red\n",
        HEAD BLOCK LAYERS "tie_embeddings: yes\n",
        HEAD BLOCK LAYERS "name: [a]\n",
        HEAD BLOCK LAYERS "name: \"\"\n",
        HEAD BLOCK LAYERS "eos_tokens: [1, 1, 1, 1, 1, 1, 1, 1, 1]\n",
        HEAD BLOCK LAYERS "eos_tokens: {a: 1}\n",
        HEAD BLOCK LAYERS "weights: int7\n",
        HEAD BLOCK LAYERS "norm: [rmsnorm]\n",
        HEAD BLOCK LAYERS "final_norm: {eps: 1}\n",
        HEAD BLOCK LAYERS "norm: {type: x.y, \"a b\": 1}\n",
        HEAD BLOCK LAYERS "norm: {type: x.y, eps: null}\n",
        HEAD BLOCK LAYERS "norm: {type: x.y, rope: {}}\n",
        HEAD BLOCK LAYERS "norm: {type: x.y, l: [1, two]}\n",
        HEAD LAYERS "blocks: [a]\n",
        HEAD LAYERS "blocks: {}\n",
        HEAD LAYERS "blocks: {a: gla}\n",
        HEAD LAYERS "blocks: {a: {norm_at: pre}}\n",
        HEAD LAYERS "blocks: {\"a b\": {mixer: x.y}}\n",
        HEAD LAYERS "blocks: {a: {mixr: x}}\n",
        HEAD LAYERS "blocks: {a: {mixer: {heads: 4}}}\n",
        HEAD LAYERS "blocks: {a: {mixer: x.y, norm_at: before}}\n",
        HEAD LAYERS "blocks: {a: {mixer: [x.y, x.y, x.y, x.y, x.y]}}\n",
        HEAD LAYERS "blocks: {a: {mixer: []}}\n",
        HEAD LAYERS "blocks: {a: {mixer: {type: x.y, in_multiplier: big}}}\n",
        HEAD LAYERS "blocks: {a: {mixer: x.y, skip_multiplier: {mix: 1}}}\n",
        HEAD BLOCK "layers: 3*\n",
        HEAD BLOCK "layers: 3 a\n",
        HEAD BLOCK "layers: \"a, a\"\n",
        HEAD BLOCK "layers: []\n",
        HEAD BLOCK "layers: {repeat: 2}\n",
        HEAD BLOCK "layers: {pattern: a, repeat: 0}\n",
        HEAD BLOCK "layers: {pattern: a, times: 2}\n",
        HEAD BLOCK "layers: {pattern: a, override: {first: a}}\n",
    };

    static const char untyped[] = HEAD BLOCK LAYERS "norm: {eps: 1}\n";

    cr_expect(schema_accepts(untyped, untyped) && gla_accepts(untyped));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect(!gla_accepts(bad[i]), "gla accepts:\n%s", bad[i]);
        cr_expect(!schema_accepts(bad[i], bad[i]), "the schema accepts:\n%s", bad[i]);
    }
}

/* What a layer takes is declared by the layer; the schema has it from there. */
Test(arch_schema, knows_the_parameters_of_layers)
{
#define LAYER(text) "gla: 1\nvocab_size: 10\nd_model: 64\nlayers: a\nblocks: {a: {" text "}}\n"
    static const char *const good[] = {
        LAYER("mixer: gla"),
        LAYER("mixer: gla.gla/1"),
        LAYER("mixer: {type: gla.attention, heads: 4, rope.theta: 1.0e4}"),
        LAYER("mixer: {type: attention, heads: 4, rope: {theta: 1.0e4, type: linear, factor: 2}}"),
        LAYER("mixer: {type: gla, heads: 4, in_multiplier: 0.5}"),
        LAYER("ffn: {type: mlp, d_ff: 64, activation: gelu}"),
        LAYER("mixer: gla, norm: {type: layernorm, bias: true}") "norm: {eps: 0.5}\n",
        LAYER("mixer: gla") "final_norm: none\nembedding_norm: layernorm\nhead: {bias: true}\n",
    };
    static const char *const bad[] = {
        LAYER("mixer: GLA"),
        LAYER("mixer: swiglu"),
        LAYER("mixer: attention"),
        LAYER("mixer: {type: attention, head_dim: 16}"),
        LAYER("mixer: {type: attention, heads: 4, sliding_window: 4}"),
        LAYER("mixer: {type: attention, heads: \"6\"}"),
        LAYER("mixer: {type: attention, heads: 0}"),
        LAYER("mixer: {type: attention, heads: 4.5}"),
        LAYER("mixer: {type: attention, heads: 4, rope: {base: 1}}"),
        LAYER("mixer: {type: attention, heads: 4, rope.base: 1}"),
        LAYER("mixer: {type: attention, heads: 4, rope: {type: spiral}}"),
        LAYER("mixer: {type: attention, heads: 4, qkv_bias: 1}"),
        LAYER("ffn: {type: mlp, d_ff: 64, activation: geglu}"),
        LAYER("ffn: {type: gla, heads: 4}"),
        LAYER("mixer: gla, norm: {type: layernorm, epsilon: 1}"),
        LAYER("mixer: gla") "norm: {epsilon: 1}\n",
        LAYER("mixer: gla") "head: {type: rmsnorm}\n",
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_expect(gla_describes(good[i]), "gla refuses:\n%s", good[i]);
        cr_expect(schema_accepts(good[i], good[i]), "the schema refuses:\n%s", good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect(!gla_describes(bad[i]), "gla accepts:\n%s", bad[i]);
        cr_expect(!schema_accepts(bad[i], bad[i]), "the schema accepts:\n%s", bad[i]);
    }
}
