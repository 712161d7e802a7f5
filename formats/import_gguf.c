/* SPDX-License-Identifier: Apache-2.0
 *
 * import_gguf.c - metadata of gguf as a config, names of its tensors, its conventions
 *
 *   llama    rows of q and k are stored so that rotary pairs lie side by side; Mistral is one too
 *   mamba    ssm_a is -exp(A_log)
 *   all      the output matrix is absent when it is the embedding; rope_freqs.weight divides the
 *            rotary frequencies (Llama 3.1): "longrope" with one list for every length
 */
#include "formats/import_gguf.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/gguf.h"
#include "formats/import_hybrid.h"
#include "formats/json.h"

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
static const meta mamba[] = {{"ssm.conv_kernel", "conv_kernel", false, true},
                             {"ssm.inner_size", "intermediate_size", false, true},
                             {"ssm.state_size", "state_size", false, true},
                             {"ssm.time_step_rank", "time_step_rank", false, true},
                             {"feed_forward_length", NULL, false, false}, /* 0 */
                             {"attention.head_count", NULL, false, false},
                             {NULL, NULL, false, false}};

typedef struct family {
    const char *gguf, *model_type;
    const meta *more;
    bool interleaved; /* rotary pairs lie side by side */
} family;

static const family families[] = {{"llama", "llama", transformer, true},
                                  {"qwen2", "qwen2", transformer, false},
                                  {"qwen3", "qwen3", transformer, false},
                                  {"mamba", "mamba", mamba, false}};

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

static bool present(const gla_weights *w, const char *key)
{
    const char *k;

    for (uint32_t i = 0; (k = gla__gguf_key(w, i)) != NULL; i++)
        if (!strcmp(k, key))
            return true;
    return false;
}

static gla_status set(const reading *r, const char *key, json_t *value)
{
    return json_object_set_new(r->config, key, value) ? gla__fail_nomem(r->diag, "a config")
                                                      : GLA_OK;
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

static gla_status take(const reading *r, const meta *m)
{
    const gla__name key = full_key(r, m->gguf);
    uint64_t n;
    double x;

    if (!m->config)
        return GLA_OK;
    if (m->real && gla__gguf_f64(r->w, key.text, &x))
        return set(r, m->config, json_real(x));
    if (!m->real && gla__gguf_u64(r->w, key.text, &n))
        return n > INT64_MAX ? refuse(r, key.text, "too large")
                             : set(r, m->config, json_integer((json_int_t)n));
    if (present(r->w, key.text))
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

static gla_status read_factors(const reading *r, const gla_tensor_info *info, json_t **out)
{
    float *values;
    gla_status st;

    *out = json_array();
    if (info->dtype != GLA_DTYPE_F32 || info->n_elements > MAX_FACTORS)
        return refuse(r, info->name, "expected at most 2048 factors, F32");
    values = gla__alloc_array(MAX_FACTORS, sizeof(*values));
    if (!values)
        return gla__fail_nomem(r->diag, info->name);
    st = gla_weights_read(r->w, info, values, r->diag);
    for (uint64_t i = 0; !st && i < info->n_elements; i++)
        if (json_array_append_new(*out, json_real((double)values[i])))
            st = gla__fail_nomem(r->diag, info->name);
    gla__free(values);
    return st;
}

/* Llama 3.1's scaling has no metadata: its factors are a tensor. */
static gla_status take_factors(const reading *r, const gla_tensor_info *info)
{
    json_t *list;
    gla_status st = read_factors(r, info, &list);

    if (!st)
        st = set(r, "rope_scaling",
                 json_pack("{s:s, s:f, s:O, s:O}", "rope_type", "longrope", "attention_factor", 1.0,
                           "short_factor", list, "long_factor", list));
    json_decref(list);
    return st;
}

static gla_status take_scaling(const reading *r)
{
    const gla_tensor_info *factors = gla_weights_find(r->w, "rope_freqs.weight");
    const gla__name key = full_key(r, "rope.scaling.type");
    gla__gguf_text type = {"none", 4};
    json_t *scaling;
    uint64_t original;
    double factor = 1;

    gla__gguf_string(r->w, key.text, &type);
    if (factors)
        return take_factors(r, factors);
    if (type.size == 4 && !memcmp(type.data, "none", 4))
        return GLA_OK;
    if (!(type.size == 6 && !memcmp(type.data, "linear", 6)) &&
        !(type.size == 4 && !memcmp(type.data, "yarn", 4)))
        return refuse(r, key.text, "rotary scaling of this type is not read from gguf");
    gla__gguf_f64(r->w, full_key(r, "rope.scaling.factor").text, &factor);
    scaling = json_pack("{s:s%, s:f}", "rope_type", type.data, type.size, "factor", factor);
    if (get_u64(r, "rope.scaling.original_context_length", &original) && original <= INT64_MAX)
        json_object_set_new(scaling, "original_max_position_embeddings",
                            json_integer((json_int_t)original));
    return set(r, "rope_scaling", scaling);
}

static gla_status take_transformer(const reading *r)
{
    uint64_t heads = 0, kv, k = 0, v, width = 0, rotary, n;
    gla_status st = take_scaling(r);

    get_u64(r, "attention.head_count", &heads);
    get_u64(r, "embedding_length", &width);
    if (!st && get_u64(r, "expert_count", &n) && n)
        st = refuse(r, full_key(r, "expert_count").text, "mixtures of experts are not read here");
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
    if (!st && get_u64(r, "rope.dimension_count", &rotary) && rotary < k && k) /* .5: cut off */
        st = set(r, "partial_rotary_factor", json_real(((double)rotary + 0.5) / (double)k));
    if (!st && strcmp(r->family->gguf, "qwen2"))
        st = set(r, "attention_bias",
                 json_boolean(gla_weights_find(r->w, "blk.0.attn_q.bias") != NULL));
    /* Mistral is a Llama with a window */
    if (!st && get_u64(r, "attention.sliding_window", &n) && n)
        st = !strcmp(r->family->gguf, "llama") ? set(r, "model_type", json_string("mistral"))
                                               : set(r, "use_sliding_window", json_true());
    return st;
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

static bool known_key(const reading *r, const char *key)
{
    static const char *const more[] = {"attention.value_length",
                                       "rope.dimension_count",
                                       "rope.scaling.type",
                                       "rope.scaling.factor",
                                       "rope.scaling.original_context_length",
                                       "rope.scaling.finetuned",
                                       "expert_count",
                                       "ssm.dt_b_c_rms"};

    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (!strcmp(more[i], key))
            return true;
    for (const meta *m = common; m->gguf; m++)
        if (!strcmp(m->gguf, key))
            return true;
    for (const meta *m = r->family->more; m->gguf; m++)
        if (!strcmp(m->gguf, key))
            return true;
    return false;
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

static gla_status take_tokens(const reading *r)
{
    static const char *const ids[][2] = {{"tokenizer.ggml.bos_token_id", "bos_token_id"},
                                         {"tokenizer.ggml.eos_token_id", "eos_token_id"}};
    gla_status st = GLA_OK;
    uint64_t n;

    for (size_t i = 0; i < 2 && !st; i++)
        if (gla__gguf_u64(r->w, ids[i][0], &n) && n <= INT64_MAX)
            st = set(r, ids[i][1], json_integer((json_int_t)n));
    return st;
}

static gla_status find_family(reading *r)
{
    gla__gguf_text name;
    gla_status st;

    if (!gla__gguf_string(r->w, "general.architecture", &name))
        return refuse(r, "general.architecture", "this key is missing");
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++)
        if (strlen(families[i].gguf) == name.size &&
            !memcmp(families[i].gguf, name.data, name.size))
            r->family = &families[i];
    if (r->family)
        return GLA_OK;
    st = gla__fail(r->diag, GLA_E_UNSUPPORTED,
                   "\"%.*s\" is not read from gguf; known: llama, qwen2, qwen3, mamba",
                   name.size < 64 ? (int)name.size : 64, name.data);
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
        st = r.family->more == mamba ? take_mamba(&r) : take_transformer(&r);
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

static const family *family_of(const gla__import *im)
{
    gla__gguf_text name = {"", 0};

    gla__gguf_string(im->source, "general.architecture", &name);
    for (size_t i = 1; i < sizeof(families) / sizeof(families[0]); i++)
        if (strlen(families[i].gguf) == name.size &&
            !memcmp(families[i].gguf, name.data, name.size))
            return &families[i];
    return &families[0];
}

void gla__gguf_arch(gla__import *im)
{
    const family *f = family_of(im);
    char *name = gla__strdup(gla__name_of("gguf/%s", f->gguf).text);

    if (!name) {
        im->status = GLA_E_NOMEM;
        return;
    }
    gla__free(im->arch->family);
    im->arch->family = name;
    for (uint32_t i = 0; f->interleaved && i < im->arch->n_blocks; i++)
        gla__set_flag(im, &im->arch->blocks[i].mixers[0], "rope.interleaved", true, false);
}

void gla__gguf_tensors(gla__import *im)
{
    static const char *const names[][2] = {
        {"mixer_norm.", "attn_norm."},     {"ffn_norm.", "ffn_norm."},
        {"mixer.q_proj.", "attn_q."},      {"mixer.k_proj.", "attn_k."},
        {"mixer.v_proj.", "attn_v."},      {"mixer.o_proj.", "attn_output."},
        {"mixer.q_norm.", "attn_q_norm."}, {"mixer.k_norm.", "attn_k_norm."},
        {"ffn.gate_proj.", "ffn_gate."},   {"ffn.up_proj.", "ffn_up."},
        {"ffn.down_proj.", "ffn_down."},   {"mixer.in_proj.", "ssm_in."},
        {"mixer.conv1d.", "ssm_conv1d."},  {"mixer.x_proj.", "ssm_x."},
        {"mixer.dt_proj.", "ssm_dt."},     {"mixer.D", "ssm_d"},
        {"mixer.out_proj.", "ssm_out."},
    };

    gla__map_prefix(im, "embed.", "token_embd.");
    gla__map_prefix(im, "final_norm.", "output_norm.");
    gla__map_prefix(im, "head.", "output.");
    for (uint32_t i = 0; i < im->n_layers; i++) {
        const gla__name a = gla__name_of("blk.%u.ssm_a", i);

        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            gla__map_prefix(im, gla__name_of("layers.%u.%s", i, names[n][0]).text,
                            gla__name_of("blk.%u.%s", i, names[n][1]).text);
        if (gla__source(im, a.text))
            gla__map_log_negated(im, gla__name_of("layers.%u.mixer.A_log", i).text, a.text);
    }
    gla__map_ignore(im, "rope_freqs.weight"); /* in the architecture */
}
