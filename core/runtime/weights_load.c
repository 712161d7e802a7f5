/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/weights_load.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/blob.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/tensor.h"
#include "graph/host.h"
#include "runtime/random_weights.h"

typedef struct loader {
    gla__program *p;
    const gla__weight_source *source;
    const gla_model_options *options;
    gla_weight_info *next; /* the description's entry of the next weight: they are in our order */
    gla__load_result *result;
    gla_diag *diag;
    uint64_t done, total;  /* bytes */
    gla__bind_scope scope; /* .shared: tensors that layers declare from the model's root */
    const char **names;    /* [scope.n_shared] */
    gla_tensor *tensors;   /* [scope.n_shared]; data NULL: not read yet */
} loader;

/* ---- what the file must have ---- */

static gla_status check_tensor(const gla_weight_desc *w, const gla_tensor_info *info,
                               gla_diag *diag)
{
    const bool quantised = gla__is_quantised(info->dtype);
    char want[160], have[160];
    gla_status st = GLA_OK;

    if (info->ndim != w->ndim || memcmp(info->dims, w->dims, w->ndim * sizeof(w->dims[0])))
        st = gla__fail(diag, GLA_E_SHAPE, "the file has shape %s, the architecture needs %s",
                       gla__shape_text(info->ndim, info->dims, have, sizeof(have)),
                       gla__shape_text(w->ndim, w->dims, want, sizeof(want)));
    else if (!gla__is_float(info->dtype) && !(quantised && w->role == GLA_WEIGHT_MATRIX))
        st = gla__fail(diag, GLA_E_SHAPE, "%s numbers cannot be used for %s",
                       gla_dtype_name(info->dtype),
                       w->role == GLA_WEIGHT_MATRIX ? "a matrix" : "a vector");
    if (st)
        gla__at(diag, w->name);
    return st;
}

static gla_status missing(const loader *l, uint32_t n, const char *names)
{
    gla__fail(l->diag, GLA_E_SHAPE, "%" PRIu32 " tensor%s missing: %s", n, n == 1 ? " is" : "s are",
              names);
    gla__hint(l->diag, "the architecture and the weights are not of the same model");
    return GLA_E_SHAPE;
}

/* All names and shapes before anything is read. */
static gla_status check_file(const loader *l)
{
    char names[256];
    size_t used = 0;
    uint32_t n_missing = 0;

    names[0] = '\0';
    for (uint32_t i = 0; i < l->p->n_instances; i++) {
        const gla__instance *in = &l->p->instances[i];

        for (uint32_t j = 0; j < in->n_weights; j++) {
            const gla_weight_desc *w = &in->weights[j];
            const gla_tensor_info *info = gla_weights_find(l->source->file, w->name);
            gla_status st;

            if (info) {
                st = check_tensor(w, info, l->diag);
                if (st)
                    return st;
                continue;
            }
            if (n_missing++ < 4 && used < sizeof(names))
                used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s",
                                         used ? ", " : "", w->name);
            else if (n_missing == 5 && used < sizeof(names))
                snprintf(names + used, sizeof(names) - used, ", ...");
        }
    }
    return n_missing ? missing(l, n_missing, names) : GLA_OK;
}

/* ---- sizes ---- */

static uint32_t random_dtype(const loader *l, const gla__instance *in, const gla_weight_desc *w)
{
    const gla_arch *arch = l->source->arch;
    uint32_t wanted = 0;

    if (!l->source->dtype_for_all && in->block < arch->n_layers)
        wanted = arch->blocks[arch->layers[in->block]].weights_dtype;
    return gla__random_dtype(w, wanted ? wanted : l->source->dtype);
}

static uint64_t matrix_bytes(uint32_t dtype, const gla_weight_desc *w)
{
    const uint64_t cols = (uint64_t)w->dims[w->ndim - 1];

    return gla_dtype_bytes(dtype, gla__n_elements(w->ndim, w->dims) / cols, cols);
}

/* Bytes of a weight before it is packed. */
static uint64_t weight_bytes(const loader *l, const gla__instance *in, const gla_weight_desc *w)
{
    if (l->source->file)
        return gla_weights_find(l->source->file, w->name)->raw_bytes;
    return w->role == GLA_WEIGHT_MATRIX ? matrix_bytes(random_dtype(l, in, w), w)
                                        : gla__n_elements(w->ndim, w->dims) * sizeof(float);
}

/* Index among the shared tensors, n_shared if it is none. */
static uint32_t find_shared(const loader *l, const char *name)
{
    uint32_t i = 0;

    while (i < l->scope.n_shared && strcmp(l->names[i], name))
        i++;
    return i;
}

static gla_status count_bytes(loader *l)
{
    const uint64_t max = l->options->limits->max_bytes;
    const uint64_t limit = max ? max : gla__most_of_memory();

    for (uint32_t i = 0; i < l->p->n_instances; i++) {
        const gla__instance *in = &l->p->instances[i];

        for (uint32_t j = 0; j < in->n_weights; j++) {
            const uint64_t bytes = weight_bytes(l, in, &in->weights[j]);

            if (!bytes || !gla__add_u64(l->total, bytes, &l->total) || l->total > limit)
                return gla__fail(l->diag, GLA_E_LIMIT,
                                 "the weights take more than %" PRIu64 " MiB, the limit of bytes",
                                 limit >> 20);
        }
    }
    return GLA_OK;
}

/* A weight from the model's root belongs to several layers. */
static gla_status find_shared_tensors(loader *l)
{
    size_t capacity = 0;

    for (uint32_t i = 0; i < l->p->n_instances; i++) {
        const gla__instance *in = &l->p->instances[i];
        const size_t n = strlen(in->name);

        for (uint32_t j = 0; j < in->n_weights; j++) {
            const gla_weight_desc *w = &in->weights[j];

            if (w->role != GLA_WEIGHT_MATRIX ||
                (!strncmp(w->name, in->name, n) && w->name[n] == '.') ||
                find_shared(l, w->name) < l->scope.n_shared)
                continue;
            if (gla__grow((void **)&l->names, &capacity, l->scope.n_shared, sizeof(*l->names)))
                return gla__fail_nomem(l->diag, "weights");
            l->names[l->scope.n_shared++] = w->name;
        }
    }
    l->tensors = gla__alloc_array(l->scope.n_shared + 1u, sizeof(*l->tensors));
    l->scope.shared = gla__alloc_array(l->scope.n_shared + 1u, sizeof(*l->scope.shared));
    return l->tensors && l->scope.shared ? GLA_OK : gla__fail_nomem(l->diag, "weights");
}

/* ---- reading ---- */

static void to_f32(uint32_t dtype, const void *src, uint64_t n, float *dst)
{
    for (uint64_t i = 0; i < n; i++) {
        if (dtype == GLA_DTYPE_F32)
            dst[i] = ((const float *)src)[i];
        else if (dtype == GLA_DTYPE_F64)
            dst[i] = (float)((const double *)src)[i];
        else if (dtype == GLA_DTYPE_F16)
            dst[i] = gla__f16_f32(((const uint16_t *)src)[i]);
        else
            dst[i] = gla__bf16_f32(((const uint16_t *)src)[i]);
    }
}

/* A tensor of the file, as stored, in a blob. */
static gla_status read_blob(const loader *l, const gla_tensor_info *info, void **out)
{
    gla_status st;
    size_t bytes;

    *out = gla__to_size(info->raw_bytes, &bytes) ? gla__blob_new(bytes) : NULL;
    if (!*out)
        return gla__fail_nomem(l->diag, info->name);
    st = gla_weights_read(l->source->file, info, *out, l->diag);
    if (st) {
        gla__blob_unref(*out);
        *out = NULL;
    }
    return st;
}

static gla_status read_f32(const loader *l, const gla_tensor_info *info, float *dst)
{
    void *raw;
    gla_status st;

    if (info->dtype == GLA_DTYPE_F32)
        return gla_weights_read(l->source->file, info, dst, l->diag);
    st = read_blob(l, info, &raw);
    if (st)
        return st;
    to_f32(info->dtype, raw, info->n_elements, dst);
    gla__blob_unref(raw);
    return GLA_OK;
}

static void describe_tensor(const gla_weight_desc *w, uint32_t dtype, const void *data,
                            gla_tensor *out)
{
    const uint64_t n = gla__n_elements(w->ndim, w->dims);

    *out = (gla_tensor){.data = data, .dtype = dtype, .ndim = w->ndim};
    memcpy(out->dims, w->dims, sizeof(out->dims));
    if (dtype == GLA_DTYPE_I8 || dtype == GLA_DTYPE_I4)
        out->aux = (const char *)data + (dtype == GLA_DTYPE_I8 ? n : n / 2);
}

static gla_status load_vector(const loader *l, gla__instance *in, uint32_t i, gla_tensor *out)
{
    const gla_weight_desc *w = &in->weights[i];
    const uint64_t n = gla__n_elements(w->ndim, w->dims);
    gla_status st = GLA_OK;

    in->vectors[i] = gla__alloc((size_t)n * sizeof(float));
    if (!in->vectors[i])
        return gla__fail_nomem(l->diag, w->name);
    if (l->source->file)
        st = read_f32(l, gla_weights_find(l->source->file, w->name), in->vectors[i]);
    else
        gla__random_vector(w, l->source->seed, in->vectors[i]);
    describe_tensor(w, GLA_DTYPE_F32, in->vectors[i], out);
    l->result->bytes += n * sizeof(float);
    return st;
}

/* f64 is read as f32, everything else as it is. */
static gla_status load_matrix(const loader *l, const gla__instance *in, const gla_weight_desc *w,
                              gla_tensor *out)
{
    const gla_tensor_info *info =
        l->source->file ? gla_weights_find(l->source->file, w->name) : NULL;
    uint32_t dtype = info ? info->dtype : random_dtype(l, in, w);
    void *data = NULL;
    gla_status st = GLA_OK;

    if (info && dtype != GLA_DTYPE_F64) {
        st = read_blob(l, info, &data);
    } else {
        if (info)
            dtype = GLA_DTYPE_F32;
        data = gla__blob_new((size_t)matrix_bytes(dtype, w));
        if (!data)
            return gla__fail_nomem(l->diag, w->name);
        if (info)
            st = read_f32(l, info, data);
        else
            gla__random_matrix(w, dtype, l->source->seed, data);
    }
    if (!(w->flags & GLA_WEIGHT_LOOKUP) && dtype != GLA_DTYPE_F32)
        l->result->all_f32 = false;
    describe_tensor(w, dtype, data, out);
    return st;
}

static gla_status load_weight(loader *l, gla__instance *in, uint32_t i, gla_tensor *out)
{
    const gla_weight_desc *w = &in->weights[i];
    const uint32_t shared = find_shared(l, w->name);
    gla_status st;

    if (w->role == GLA_WEIGHT_VECTOR)
        return load_vector(l, in, i, out);
    if (shared == l->scope.n_shared)
        return load_matrix(l, in, w, out);
    if (!l->tensors[shared].data) {
        st = load_matrix(l, in, w, &l->tensors[shared]);
        if (st)
            return st;
        l->scope.shared[shared].tensor = &l->tensors[shared];
    }
    *out = l->tensors[shared];
    return GLA_OK;
}

static gla_status report(loader *l, const gla__instance *in)
{
    for (uint32_t j = 0; j < in->n_weights; j++)
        l->done += weight_bytes(l, in, &in->weights[j]);
    if (l->options->progress && l->options->progress(l->options->ctx, in->name, l->done, l->total))
        return gla__fail(l->diag, GLA_E_CANCELLED, "cancelled while loading");
    return GLA_OK;
}

static gla_status load_instance(loader *l, gla__instance *in)
{
    gla_tensor *tensors = gla__alloc_array(in->n_weights + 1u, sizeof(*tensors));
    gla_status st = tensors ? GLA_OK : gla__fail_nomem(l->diag, "weights");

    for (uint32_t i = 0; i < in->n_weights && !st; i++) {
        st = load_weight(l, in, i, &tensors[i]);
        (l->next++)->dtype = tensors[i].dtype;
    }
    if (!st)
        st = gla__instance_bind(in, tensors, l->diag);
    for (uint32_t i = 0; tensors && i < in->n_weights; i++)
        if (in->weights[i].role == GLA_WEIGHT_MATRIX &&
            find_shared(l, in->weights[i].name) == l->scope.n_shared)
            gla__blob_unref(tensors[i].data);
    gla__free(tensors);
    return st ? st : report(l, in);
}

gla_status gla__weights_load(gla__program *p, const gla__weight_source *source,
                             const gla_model_options *options, gla_description *description,
                             gla__load_result *out, gla_diag *diag)
{
    loader l = {.p = p,
                .source = source,
                .options = options,
                .next = description->weights,
                .result = out,
                .diag = diag};
    gla_status st = GLA_OK;

    *out = (gla__load_result){.all_f32 = true};
    if (source->file)
        st = check_file(&l);
    if (!st)
        st = find_shared_tensors(&l);
    if (!st)
        st = count_bytes(&l);
    gla__host_bind_scope(&l.scope);
    for (uint32_t i = 0; i < p->n_instances && !st; i++)
        st = load_instance(&l, &p->instances[i]);
    gla__host_bind_scope(NULL);
    out->bytes += l.scope.packed_bytes;
    for (uint32_t i = 0; l.tensors && i < l.scope.n_shared; i++)
        gla__blob_unref(l.tensors[i].data);
    gla__free(l.names);
    gla__free(l.tensors);
    gla__free(l.scope.shared);
    return st;
}
