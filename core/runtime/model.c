/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/model_parts.h"

#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/parallel.h"
#include "base/sized.h"
#include "formats/arch/form.h"
#include "graph/host.h"
#include "runtime/describe.h"
#include "runtime/program.h"
#include "runtime/registry.h"
#include "runtime/weights_load.h"

enum { DEFAULT_SEQUENCES = 64, DEFAULT_LAYERS = 4096, MAX_ROWS = 65536, MAX_SEQUENCES = 4096 };

/* ---- life ---- */

static void destroy(gla_model *m)
{
    gla__shared_free(m->shared);
    while (m->free_list) {
        gla__workspace *w = m->free_list;

        m->free_list = *gla__workspace_next(w);
        gla__workspace_destroy(w);
    }
    gla__graph_destroy(m->graph);
    gla__state_layout_free(&m->layout);
    gla_description_free(m->description);
    gla_arch_free(m->arch);
    gla_registry_free(m->registry);
    pthread_mutex_destroy(&m->lock);
    gla__free(m);
}

gla_model *gla__model_ref(gla_model *m)
{
    atomic_fetch_add(&m->refs, 1);
    return m;
}

void gla_model_free(gla_model *m)
{
    if (m && atomic_fetch_sub(&m->refs, 1) == 1)
        destroy(m);
}

/* ---- making one ---- */

static gla_status set_options(gla_model *m, const gla_model_options *o, gla_diag *diag)
{
    const uint32_t max_layers = o->limits->max_layers ? o->limits->max_layers : DEFAULT_LAYERS;

    m->threads = o->threads;
    m->max_batch_rows = o->max_batch_rows ? o->max_batch_rows : GLA__DEFAULT_BATCH_ROWS;
    m->max_sequences = o->max_sequences ? o->max_sequences : DEFAULT_SEQUENCES;
    m->recurrence_chunk = o->recurrence_chunk;
    m->kv_dtype = o->kv_dtype;
    if (m->max_batch_rows > MAX_ROWS || m->max_sequences > MAX_SEQUENCES)
        return gla__fail(diag, GLA_E_INVALID,
                         "batches of %" PRIu32 " rows and %" PRIu32
                         " sequences, at most %d and %d allowed",
                         m->max_batch_rows, m->max_sequences, MAX_ROWS, MAX_SEQUENCES);
    if (m->max_sequences > m->max_batch_rows)
        m->max_sequences = m->max_batch_rows; /* each has a row */
    if (o->kv_dtype && o->kv_dtype != GLA_DTYPE_F32 && o->kv_dtype != GLA_DTYPE_BF16 &&
        o->kv_dtype != GLA_DTYPE_I8)
        return gla__fail(diag, GLA_E_INVALID, "a KV cache of %s; f32, bf16 or int8 expected",
                         gla_dtype_name(o->kv_dtype));
    if (m->arch->n_layers > max_layers)
        return gla__fail(diag, GLA_E_LIMIT, "%" PRIu32 " layers, at most %" PRIu32 " allowed",
                         m->arch->n_layers, max_layers);
    return GLA_OK;
}

static gla_status set_registry(gla_model *m, gla_registry *given, gla_diag *diag)
{
    gla_status st;

    if (given) {
        m->registry = gla__registry_ref(given);
        return GLA_OK;
    }
    st = gla_registry_create(NULL, &m->registry, diag);
    return st ? st : gla_registry_load_path(m->registry, diag);
}

/* Identifies the model to saved sessions: what it is and with which weights. */
static gla_status set_hash(gla_model *m, const gla__weight_source *source, gla_diag *diag)
{
    const uint64_t key = source->file ? gla_weights_hash(source->file) : source->seed;
    char *text;
    size_t size;
    const gla_status st = gla_arch_print(m->arch, &text, &size, diag);

    if (st)
        return st;
    m->hash = XXH3_64bits_withSeed(text, size, key ^ (uint64_t)source->dtype << 56);
    gla_text_free(text);
    return GLA_OK;
}

static gla_status build(gla_model *m, const gla__weight_source *source,
                        const gla_model_options *options, gla_diag *diag)
{
    gla__program program = {0};
    gla__load_result loaded;
    gla_status st;

    st = gla__program_create(m->arch, m->registry, &program, diag);
    if (st)
        return st;
    st = gla__describe_program(&program, &m->description, diag);
    if (!st)
        st = gla__program_layout(&program, &m->layout, diag);
    if (!st)
        st = gla__weights_load(&program, source, options, m->description, &loaded, diag);
    if (!st)
        st = gla__graph_create(&program, m->max_batch_rows, m->max_sequences, m->recurrence_chunk,
                               &m->graph, diag);
    if (st) {
        gla__program_free(&program);
        return st;
    }
    m->weights_bytes = loaded.bytes;
    if (!m->kv_dtype)
        m->kv_dtype = loaded.all_f32 ? GLA_DTYPE_F32 : GLA_DTYPE_BF16;
    return set_hash(m, source, diag);
}

/* The caller's options in a struct of ours, their limits in *limits. */
static gla_status read_options(const gla_model_options *given, gla_model_options *o,
                               gla_limits *limits, gla_diag *diag)
{
    gla_status st = gla__read_struct(gla_model_options, ctx, o, given, diag);

    if (!st)
        st = gla__read_struct(gla_limits, reserved, limits, o->limits, diag);
    o->limits = limits;
    return st;
}

/* options: ours. */
static gla_status make(const gla_arch *arch, gla__weight_source *source,
                       const gla_model_options *options, gla_model **out, gla_diag *diag)
{
    gla_model *m = gla__alloc_zero(sizeof(*m));
    uint32_t threads;
    gla_status st;

    if (!m)
        return gla__fail_nomem(diag, "a model");
    atomic_init(&m->refs, 1);
    pthread_mutex_init(&m->lock, NULL);
    st = gla_arch_copy(arch, &m->arch, diag);
    source->arch = m->arch;
    if (!st)
        st = set_options(m, options, diag);
    if (!st)
        st = set_registry(m, options->registry, diag);
    if (!st) {
        threads = gla__parallel_use(m->threads);
        st = build(m, source, options, diag);
        gla__parallel_use(threads);
    }
    if (st) {
        gla_model_free(m);
        return st;
    }
    *out = m;
    return GLA_OK;
}

gla_status gla_model_create(const gla_arch *arch, const gla_weights *weights,
                            const gla_model_options *options, gla_model **out, gla_diag *diag)
{
    gla__weight_source source = {.file = weights};
    gla_model_options o;
    gla_limits limits;
    const gla_status st = read_options(options, &o, &limits, diag);

    *out = NULL;
    if (st)
        return st;
    if (!weights)
        return gla__fail(diag, GLA_E_INVALID, "no weights given");
    return make(arch, &source, &o, out, diag);
}

gla_status gla_model_random(const gla_arch *arch, const gla_model_options *options, gla_model **out,
                            gla_diag *diag)
{
    gla__weight_source source = {0};
    gla_model_options o;
    gla_limits limits;
    const gla_status st = read_options(options, &o, &limits, diag);

    *out = NULL;
    if (st)
        return st;
    source.seed = o.seed;
    source.dtype = arch->weights_dtype ? arch->weights_dtype : GLA_DTYPE_BF16;
    source.dtype_for_all = o.weights_dtype != 0;
    if (o.weights_dtype)
        source.dtype = o.weights_dtype;
    if (source.dtype < GLA_DTYPE_F32 || source.dtype > GLA_DTYPE_I4)
        return gla__fail(diag, GLA_E_INVALID,
                         "matrices of %s; f32, bf16, f16, int8 or int4 expected",
                         gla_dtype_name(source.dtype));
    return make(arch, &source, &o, out, diag);
}

gla_status gla_model_open(const char *path, const gla_model_options *options, gla_model **out,
                          gla_diag *diag)
{
    gla_arch *arch = NULL;
    gla_weights *weights = NULL;
    gla_model_options o;
    gla_limits limits;
    gla_status st = read_options(options, &o, &limits, diag);

    *out = NULL;
    if (st)
        return st;
    if (gla__exists(path) && !gla__is_dir(path)) {
        st = gla__fail(diag, GLA_E_IO, "a model folder is needed, and this is a file");
        if (!gla__arch_hint(path, diag))
            gla__hint(diag,
                      "a bare architecture has no weights: gla_describe() and gla_model_random() "
                      "take it");
        gla__at(diag, path);
        return st;
    }
    st = gla_arch_read(path, &arch, diag);
    if (!st)
        st = gla_weights_open(path, &limits, &weights, diag);
    if (!st) {
        st = gla_model_create(arch, weights, &o, out, diag);
        if (st && diag && !strstr(diag->where, path))
            gla__at(diag, path);
    }
    gla_weights_free(weights);
    gla_arch_free(arch);
    return st;
}

/* ---- running ---- */

gla_status gla__workspace_get(gla_model *m, gla__workspace **out, gla_diag *diag)
{
    gla__workspace *w;
    gla_status st;

    *out = NULL;
    pthread_mutex_lock(&m->lock);
    w = m->free_list;
    if (w)
        m->free_list = *gla__workspace_next(w);
    pthread_mutex_unlock(&m->lock);
    if (w && !gla__workspace_fits(w)) { /* gla_set_threads() was called since */
        atomic_fetch_sub(&m->workspace_bytes, gla__workspace_bytes(w));
        gla__workspace_destroy(w);
        w = NULL;
    }
    if (!w) {
        st = gla__workspace_create(m->graph, &w, diag);
        if (st)
            return st;
        atomic_fetch_add(&m->workspace_bytes, gla__workspace_bytes(w));
    }
    *out = w;
    return GLA_OK;
}

void gla__workspace_put(gla_model *m, gla__workspace *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&m->lock);
    *gla__workspace_next(w) = m->free_list;
    m->free_list = w;
    pthread_mutex_unlock(&m->lock);
}

gla_status gla__model_run(gla_model *m, gla__workspace *w, const gla__run *run, gla_diag *diag)
{
    const gla_host *host = gla__host_use(gla__registry_host(m->registry));
    const gla_status st = gla__graph_run(m->graph, w, run, diag);

    gla__host_use(host);
    return st;
}

/* ---- questions ---- */

const gla_arch *gla_model_arch(const gla_model *m)
{
    return m->arch;
}

const gla_description *gla_model_description(const gla_model *m)
{
    return m->description;
}

uint32_t gla_model_vocab_size(const gla_model *m)
{
    return m->arch->vocab_size;
}

uint64_t gla_model_hash(const gla_model *m)
{
    return m->hash;
}

void gla_model_memory(const gla_model *m, gla_memory *out, size_t size)
{
    const gla_memory memory = {.weights = m->weights_bytes,
                               .workspace = atomic_load(&m->workspace_bytes),
                               .kv = atomic_load(&m->usage.kv),
                               .state = atomic_load(&m->usage.state),
                               .history = atomic_load(&m->usage.history),
                               .cache = atomic_load(&m->usage.cache)};

    gla__write_struct(out, size, &memory, sizeof(memory));
}
