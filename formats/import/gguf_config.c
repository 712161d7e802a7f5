/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_config.c - metadata of gguf as a config
 *
 *   llama      rows of q and k are stored so that rotary pairs lie side by side; Mistral is one too
 *   qwen3next  norms have the 1 of (1 + w) added but for the recurrent output's
 *   qwen35     as well, and value heads stand in another order (gguf_tensors.c)
 *   all        the output matrix is absent when it is the embedding; rope_freqs.weight divides the
 *              rotary frequencies (Llama 3.1): "longrope" with one list for every length
 */
#include "formats/import/gguf_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/import/common.h"
#include "formats/import/gguf_tokenizer.h"
#include "formats/text/json.h"
#include "formats/text/number.h"
#include "formats/weights/gguf.h"

#define MAX_FACTORS 2048

/* ---- metadata ------------------------------------------------------------------------ */

typedef struct meta {
    const char *gguf;   /* after "llama." */
    const char *config; /* NULL: known, and without meaning for the result */
    bool real, required;
} meta;

static const meta common[] = {{"context_length", "max_position_embeddings", false, false},
                              {"embedding_length", "hidden_size", false, true},
                              {"block_count", "num_hidden_layers", false, true},
                              {"attention.layer_norm_rms_epsilon", "rms_norm_eps", true, true},
                              {"vocab_size", NULL, false, false}, /* the embedding tells */
                              {NULL, NULL, false, false}};
static const meta transformer[] = {{"feed_forward_length", "intermediate_size", false, true},
                                   {"attention.head_count", "num_attention_heads", false, true},
                                   {"attention.head_count_kv", "num_key_value_heads", false, false},
                                   {"attention.key_length", "head_dim", false, false},
                                   {"attention.sliding_window", "sliding_window", false, false},
                                   {"rope.freq_base", "rope_theta", true, false},
                                   {NULL, NULL, false, false}};
static const meta scaling[] = {
    {"rope.scaling.factor", "factor", true, false},
    {"rope.scaling.original_context_length", "original_max_position_embeddings", false, false},
    {"rope.scaling.yarn_beta_fast", "beta_fast", true, false},
    {"rope.scaling.yarn_beta_slow", "beta_slow", true, false},
    {NULL, NULL, false, false}};
static const meta mamba[] = {{"ssm.conv_kernel", "conv_kernel", false, true},
                             {"ssm.inner_size", "intermediate_size", false, true},
                             {"ssm.state_size", "state_size", false, true},
                             {"ssm.time_step_rank", "time_step_rank", false, true},
                             {"feed_forward_length", NULL, false, false}, /* 0 */
                             {"attention.head_count", NULL, false, false},
                             {NULL, NULL, false, false}};

static const meta delta[] = {
    {"feed_forward_length", "intermediate_size", false, false},
    {"attention.head_count", "num_attention_heads", false, true},
    {"attention.head_count_kv", "num_key_value_heads", false, true},
    {"attention.key_length", "head_dim", false, true},
    {"rope.freq_base", "rope_theta", true, false},
    {"expert_count", "num_experts", false, false},
    {"expert_used_count", "num_experts_per_tok", false, false},
    {"expert_feed_forward_length", "moe_intermediate_size", false, false},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", false, false},
    {"ssm.conv_kernel", "linear_conv_kernel_dim", false, true},
    {"ssm.state_size", "linear_key_head_dim", false, true},
    {"ssm.group_count", "linear_num_key_heads", false, true},
    {"ssm.time_step_rank", "linear_num_value_heads", false, true},
    {"full_attention_interval", "full_attention_interval", false, false},
    {"rope.dimension_sections", NULL, false, false}, /* of images; text has one position */
    {NULL, NULL, false, false}};

typedef struct family {
    const char *gguf, *model_type;
    const meta *more;
} family;

static const family families[] = {
    {"llama", "llama", transformer},         {"qwen2", "qwen2", transformer},
    {"qwen3", "qwen3", transformer},         {"mamba", "mamba", mamba},
    {"qwen3next", "qwen3_next", delta},      {"qwen35", "qwen3_5_text", delta},
    {"qwen35moe", "qwen3_5_moe_text", delta}};
#define N_FAMILIES (sizeof(families) / sizeof(families[0]))

/* One file's metadata on its way into a config. */
typedef struct reading {
    const gla_weights *w;
    const family *family;
    json_t *config;
    gla_diag *diag;
} reading;

static gla_status refuse(const reading *r, const char *key, const char *why)
{
    const gla_status st = gla__fail(r->diag, GLA_E_UNSUPPORTED, "%s", why);

    gla__at(r->diag, key);
    return st;
}

static bool is_text(gla__gguf_text text, const char *name)
{
    return text.size == strlen(name) && !memcmp(text.data, name, text.size);
}

static gla_status set(const reading *r, const char *key, json_t *value)
{
    return json_object_set_new(r->config, key, value) ? gla__fail_nomem(r->diag, "a config")
                                                      : GLA_OK;
}

static gla_status append(const reading *r, json_t *list, json_t *value)
{
    return json_array_append_new(list, value) ? gla__fail_nomem(r->diag, "a config") : GLA_OK;
}

/* "llama.attention.head_count" */
static gla__name full_key(const reading *r, const char *key)
{
    return gla__name_of("%s.%s", r->family->gguf, key);
}

static bool get_u64(const reading *r, const char *key, uint64_t *out)
{
    return gla__gguf_u64(r->w, full_key(r, key).text, out);
}

/* 1e-6 as F32 is 9.99999997e-7: the shortest decimal that is the same F32 was meant. */
static double meant(double x)
{
    char text[32];
    double y;

    for (int digits = 6; digits < 9; digits++) {
        const int n = snprintf(text, sizeof(text), "%.*g", digits, x);

        if (gla__parse_f64(text, (size_t)n, &y) && (double)(float)y - x <= 0 &&
            (double)(float)y - x >= 0)
            return y;
    }
    return x;
}

static gla_status take(const reading *r, const meta *m)
{
    const gla__name key = full_key(r, m->gguf);
    uint64_t n;
    double x;

    if (!m->config)
        return GLA_OK;
    if (m->real && gla__gguf_f64(r->w, key.text, &x))
        return isfinite(x) ? set(r, m->config, json_real(meant(x)))
                           : refuse(r, key.text, "expected a finite number");
    if (!m->real && gla__gguf_u64(r->w, key.text, &n)) /* below 2^63 */
        return set(r, m->config, json_integer((json_int_t)n));
    if (gla__gguf_has(r->w, key.text))
        return refuse(r, key.text, "expected one number for all layers");
    return m->required ? refuse(r, key.text, "this key is missing") : GLA_OK;
}

static gla_status take_all(const reading *r, const meta *list)
{
    gla_status st = GLA_OK;

    for (; list->gguf && !st; list++)
        st = take(r, list);
    return st;
}

/* ---- rotary positions ---------------------------------------------------------------- */

/* Llama 3.1's scaling has no metadata: its factors are a tensor. */
static gla_status take_factors(const reading *r, const gla_tensor_info *info)
{
    json_t *list = json_array();
    gla_status st =
        set(r, "rope_scaling",
            json_pack("{s:s, s:f, s:O, s:O}", "rope_type", "longrope", "attention_factor", 1.0,
                      "short_factor", list, "long_factor", list));
    float *values = NULL;

    if (!st && (info->dtype != GLA_DTYPE_F32 || info->n_elements > MAX_FACTORS))
        st = refuse(r, info->name, "expected at most 2048 factors, F32");
    if (!st) {
        values = gla__alloc_array(MAX_FACTORS, sizeof(*values));
        st = values ? gla_weights_read(r->w, info, values, r->diag)
                    : gla__fail_nomem(r->diag, info->name);
    }
    for (uint64_t i = 0; !st && i < info->n_elements; i++)
        st = isfinite(values[i]) ? append(r, list, json_real((double)values[i]))
                                 : refuse(r, info->name, "expected finite numbers");
    gla__free(values);
    json_decref(list);
    return st;
}

static gla_status take_scaling(const reading *r)
{
    static const char *const not_read[] = {"rope.scaling.yarn_attn_factor",
                                           "rope.scaling.yarn_ext_factor",
                                           "rope.scaling.yarn_log_multiplier"};
    const gla_tensor_info *factors = gla_weights_find(r->w, "rope_freqs.weight");
    const gla__name key = full_key(r, "rope.scaling.type");
    reading into = *r;
    gla__gguf_text type = {"none", 4};
    gla_status st;

    gla__gguf_string(r->w, key.text, &type);
    if (factors)
        return take_factors(r, factors);
    if (is_text(type, "none"))
        return GLA_OK;
    if (!is_text(type, "linear") && !is_text(type, "yarn"))
        return refuse(r, key.text, "rotary scaling of this type is not read from gguf");
    for (size_t i = 0; i < 3; i++)
        if (gla__gguf_has(r->w, full_key(r, not_read[i]).text))
            return refuse(r, full_key(r, not_read[i]).text, "this part of yarn is not read");
    into.config = json_object();
    st = set(r, "rope_scaling", json_incref(into.config));
    if (!st)
        st = set(&into, "rope_type", json_stringn(type.data, type.size));
    if (!st)
        st = take_all(&into, scaling);
    json_decref(into.config);
    return st;
}

/* Some layer has this tensor: "attn_q.bias". */
static bool some_layer_has(const reading *r, const char *name)
{
    uint64_t n = 0;

    get_u64(r, "block_count", &n);
    for (uint32_t i = 0; i < n && i < GLA__ARCH_MAX_LAYERS; i++)
        if (gla_weights_find(r->w, gla__name_of("blk.%u.%s", i, name).text))
            return true;
    return false;
}

static gla_status take_attention(const reading *r)
{
    uint64_t heads = 0, kv, k = 0, v, width = 0, rotary;
    gla_status st = take_scaling(r);

    get_u64(r, "attention.head_count", &heads);
    get_u64(r, "embedding_length", &width);
    if (!st && (!heads || !width || width > GLA__MAX_WIDTH))
        st = refuse(r, full_key(r, "attention.head_count").text, "no sensible sizes");
    if (!st && !get_u64(r, "attention.head_count_kv", &kv))
        st = set(r, "num_key_value_heads", json_integer((json_int_t)heads));
    if (!st && !get_u64(r, "attention.key_length", &k)) {
        k = width / heads;
        st = set(r, "head_dim", json_integer((json_int_t)k));
    }
    if (!st && get_u64(r, "attention.value_length", &v) && v != k)
        st = refuse(r, full_key(r, "attention.value_length").text,
                    "values of another width than keys are not supported");
    if (!get_u64(r, "rope.dimension_count", &rotary) || rotary > k)
        rotary = k;
    if (!st && k) /* .5: cut off */
        st = set(r, "partial_rotary_factor", json_real(((double)rotary + 0.5) / (double)k));
    if (!st && strcmp(r->family->gguf, "qwen2"))
        st = set(
            r, "attention_bias",
            json_boolean(some_layer_has(r, "attn_q.bias") ||
                         (r->family->more == transformer && some_layer_has(r, "attn_qkv.bias"))));
    return st;
}

static gla_status take_transformer(const reading *r)
{
    uint64_t n;
    gla_status st = take_attention(r);

    if (!st && get_u64(r, "expert_count", &n) && n)
        st = refuse(r, full_key(r, "expert_count").text, "mixtures of experts are not read here");
    /* Mistral is a Llama with a window */
    if (!st && get_u64(r, "attention.sliding_window", &n) && n)
        st = !strcmp(r->family->gguf, "llama") ? set(r, "model_type", json_string("mistral"))
                                               : set(r, "use_sliding_window", json_true());
    if (!st)
        st = set(r, "max_window_layers", json_integer(0));
    return st;
}

/* Which layers are recurrent, if the file has a list of it. */
static gla_status take_layer_types(const reading *r, uint64_t layers)
{
    const gla__name key = full_key(r, "attention.recurrent_layers");
    uint64_t n;
    double recurrent = 0;
    json_t *list;
    gla_status st;

    if (!gla__gguf_length(r->w, key.text, &n))
        return gla__gguf_has(r->w, key.text) ? refuse(r, key.text, "expected a list of booleans")
                                             : GLA_OK;
    if (n < layers)
        return refuse(r, key.text, "shorter than the model");
    list = json_array();
    st = set(r, "layer_types", list);
    for (uint64_t i = 0; !st && i < layers; i++) {
        gla__gguf_number(r->w, key.text, i, &recurrent);
        st = append(r, list, json_string(recurrent != 0 ? "linear_attention" : "full_attention"));
    }
    return st;
}

/* Layers at the end may predict further tokens: not part of the model proper. */
static gla_status take_delta(const reading *r)
{
    uint64_t inner = 0, heads = 0, layers = 0, further = 0;
    gla_status st = take_attention(r);

    get_u64(r, "ssm.inner_size", &inner);
    get_u64(r, "ssm.time_step_rank", &heads);
    get_u64(r, "block_count", &layers);
    get_u64(r, "nextn_predict_layers", &further);
    if (!st && (!heads || !inner || inner % heads || inner > GLA__MAX_WIDTH))
        st = refuse(r, full_key(r, "ssm.inner_size").text,
                    "must be a multiple of ssm.time_step_rank, the number of value heads");
    if (!st && (further >= layers || layers > GLA__ARCH_MAX_LAYERS))
        st = refuse(r, full_key(r, "nextn_predict_layers").text, "leaves no layers, or too many");
    if (!st)
        st = set(r, "linear_value_head_dim", json_integer((json_int_t)(inner / heads)));
    if (!st)
        st = set(r, "num_hidden_layers", json_integer((json_int_t)(layers - further)));
    if (!st)
        st = set(r, "norm_offset", json_real(0));
    return st ? st : take_layer_types(r, layers - further);
}

static gla_status take_mamba(const reading *r)
{
    uint64_t inner = 0, width = 0;
    bool norms;

    get_u64(r, "ssm.inner_size", &inner);
    get_u64(r, "embedding_length", &width);
    if (gla__gguf_bool(r->w, full_key(r, "ssm.dt_b_c_rms").text, &norms) && norms)
        return refuse(r, full_key(r, "ssm.dt_b_c_rms").text, "norms of dt, B and C: not supported");
    return width ? set(r, "expand", json_real((double)inner / (double)width))
                 : refuse(r, full_key(r, "embedding_length").text, "0");
}

/* ---- the whole config ------------------------------------------------------------------- */

static bool in_list(const meta *list, const char *key)
{
    for (; list->gguf; list++)
        if (!strcmp(list->gguf, key))
            return true;
    return false;
}

static bool known_key(const reading *r, const char *key)
{
    static const char *const more[] = {"attention.value_length",
                                       "rope.dimension_count",
                                       "rope.scaling.type",
                                       "rope.scaling.finetuned",
                                       "attention.recurrent_layers",
                                       "nextn_predict_layers",
                                       "ssm.inner_size",
                                       "expert_count",
                                       "ssm.dt_b_c_rms"};

    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (!strcmp(more[i], key))
            return true;
    return in_list(common, key) || in_list(scaling, key) || in_list(r->family->more, key);
}

/* What we do not know goes along, to be reported. */
static gla_status take_unknown(const reading *r)
{
    const size_t n = strlen(r->family->gguf);
    gla_status st = GLA_OK;
    const char *key;

    for (uint32_t i = 0; !st && (key = gla__gguf_key(r->w, i)) != NULL; i++)
        if (!strncmp(key, r->family->gguf, n) && key[n] == '.' && !known_key(r, key + n + 1))
            st = set(r, key, json_true());
    return st;
}

/* Texts end at any of several tokens. */
static gla_status take_tokens(const reading *r)
{
    static const char *const ends[] = {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id"};
    json_t *list = json_array();
    uint64_t seen[3], n = 0;
    gla_status st = GLA_OK;

    for (size_t i = 0; i < 3 && !st; i++) {
        if (!gla__gguf_u64(r->w, ends[i], &seen[n]) || seen[n] > INT32_MAX ||
            (n && seen[n] == seen[0]) || (n == 2 && seen[2] == seen[1]))
            continue;
        st = append(r, list, json_integer((json_int_t)seen[n++]));
    }
    if (!st && n)
        st = set(r, "eos_token_id", json_incref(list));
    json_decref(list);
    if (!st && gla__gguf_adds_bos(r->w) && gla__gguf_u64(r->w, "tokenizer.ggml.bos_token_id", &n) &&
        n <= INT32_MAX)
        st = set(r, "bos_token_id", json_integer((json_int_t)n));
    return st;
}

bool gla__gguf_is_arch(const gla_weights *w, const char *name)
{
    gla__gguf_text is;

    return gla__gguf_string(w, "general.architecture", &is) && is_text(is, name);
}

static gla_status find_family(reading *r)
{
    gla__gguf_text name;
    char known[128] = "";
    size_t used = 0;
    gla_status st;

    if (!gla__gguf_string(r->w, "general.architecture", &name))
        return refuse(r, "general.architecture", "this key is missing");
    for (size_t i = 0; i < N_FAMILIES; i++) {
        if (gla__gguf_is_arch(r->w, families[i].gguf))
            r->family = &families[i];
        used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s", i ? ", " : "",
                                 families[i].gguf);
    }
    if (r->family)
        return GLA_OK;
    st = gla__fail(r->diag, GLA_E_UNSUPPORTED, "\"%.*s\" is not read from gguf; known: %s",
                   name.size < 64 ? (int)name.size : 64, name.data, known);
    gla__at(r->diag, "general.architecture");
    gla__hint(r->diag, "many more are read from a folder with config.json and safetensors");
    return st;
}

gla_status gla__gguf_config(const gla_weights *w, char **json, size_t *size, gla_diag *diag)
{
    reading r = {w, NULL, json_object(), diag};
    const gla_tensor_info *embedding = gla_weights_find(w, "token_embd.weight");
    gla_status st = find_family(&r);

    *json = NULL;
    *size = 0;
    if (!st && (!embedding || embedding->ndim != 2))
        st = refuse(&r, "token_embd.weight", "this tensor is missing, or no matrix");
    if (!st)
        st = set(&r, "model_type", json_string(r.family->model_type));
    if (!st)
        st = set(&r, "vocab_size", json_integer(embedding->dims[0]));
    if (!st)
        st = set(&r, "tie_word_embeddings", json_boolean(!gla_weights_find(w, "output.weight")));
    if (!st)
        st = take_all(&r, common);
    if (!st)
        st = take_all(&r, r.family->more);
    if (!st)
        st = r.family->more == mamba   ? take_mamba(&r)
             : r.family->more == delta ? take_delta(&r)
                                       : take_transformer(&r);
    if (!st)
        st = take_tokens(&r);
    if (!st)
        st = take_unknown(&r);
    if (!st)
        st = gla__json_print(r.config, json, size, diag);
    json_decref(r.config);
    return st;
}

/* ---- the import ---------------------------------------------------------------------------- */

void gla__gguf_arch(gla__import *im)
{
    gla__gguf_text arch = {"", 0};
    char *name;

    gla__gguf_string(im->source, "general.architecture", &arch); /* gla__gguf_config() knew it */
    name = gla__strdup(gla__name_of("gguf/%.*s", (int)arch.size, arch.data).text);
    if (!name) {
        im->status = GLA_E_NOMEM;
        return;
    }
    gla__free(im->arch->family);
    im->arch->family = name;
    for (uint32_t i = 0; gla__gguf_is_arch(im->source, "llama") && i < im->arch->n_blocks; i++)
        gla__set_flag(im, &im->arch->blocks[i].mixers[0], "rope.interleaved", true, false);
}
