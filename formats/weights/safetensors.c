/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading safetensors.  The header is checked completely before a handle exists: every tensor has
 * exactly the bytes of its shape, they follow each other without holes, overlap or rest. */
#include "formats/weights/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/diag.h"
#include "base/io.h"
#include "formats/text/json.h"
#include "formats/weights/reader.h"

typedef struct shard {
    gla__file file;
    char *name, *header; /* header: size bytes and a NUL */
    size_t size;
} shard;

typedef struct st_file {
    gla_weights base;
    shard *shards;
    uint32_t n_shards;
} st_file;

/* ---- header ---------------------------------------------------------------- */

static uint32_t parse_dtype(const char *name)
{
    static const struct {
        const char *name;
        uint32_t dtype;
    } names[] = {{"F32", GLA_DTYPE_F32}, {"BF16", GLA_DTYPE_BF16}, {"F16", GLA_DTYPE_F16},
                 {"F64", GLA_DTYPE_F64}, {"I64", GLA_DTYPE_I64},   {"I32", GLA_DTYPE_I32},
                 {"I16", GLA_DTYPE_I16}, {"U8", GLA_DTYPE_U8},     {"BOOL", GLA_DTYPE_BOOL}};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!strcmp(names[i].name, name))
            return names[i].dtype;
    }
    return 0;
}

static gla_status check_metadata(const json_t *m, gla_diag *diag)
{
    const char *key;
    json_t *value;

    if (!json_is_object(m))
        return gla__fail(diag, GLA_E_CORRUPT, "\"__metadata__\" must be an object of strings");
    json_object_foreach((json_t *)(uintptr_t)m, key, value)
    {
        if (!json_is_string(value))
            return gla__fail(diag, GLA_E_CORRUPT, "\"__metadata__\" must be an object of strings");
    }
    return GLA_OK;
}

static gla_status read_shape(gla_tensor_info *info, const json_t *shape, gla_diag *diag)
{
    if (!json_is_array(shape) || json_array_size(shape) > GLA_MAX_DIMS)
        return gla__fail(diag, GLA_E_CORRUPT, "\"shape\" must be a list of at most %d numbers",
                         GLA_MAX_DIMS);
    info->ndim = (uint32_t)json_array_size(shape);
    for (uint32_t i = 0; i < info->ndim; i++) {
        uint64_t d;

        if (gla__json_u64(json_array_get(shape, i), &d))
            return gla__fail(diag, GLA_E_CORRUPT, "\"shape\" must be a list of whole numbers");
        info->dims[i] = (int64_t)d;
    }
    return gla__count_elements(info, diag);
}

static gla_status read_offsets(gla__st_entry *e, const json_t *offsets, gla_diag *diag)
{
    uint64_t end;

    if (json_array_size(offsets) != 2 || /* also when it is no list */
        gla__json_u64(json_array_get(offsets, 0), &e->begin) ||
        gla__json_u64(json_array_get(offsets, 1), &end))
        return gla__fail(diag, GLA_E_CORRUPT, "\"data_offsets\" must be two whole numbers");
    if (end < e->begin || end - e->begin != e->info.raw_bytes)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "its shape needs %" PRIu64 " bytes, its offsets are %" PRIu64
                         " and %" PRIu64,
                         e->info.raw_bytes, e->begin, end);
    return GLA_OK;
}

static gla_status read_entry(gla__st_entry *e, const char *name, const json_t *j, gla_diag *diag)
{
    const char *dtype = json_string_value(json_object_get(j, "dtype"));
    gla_status st = gla__check_tensor_name(name, strlen(name), diag);

    if (st)
        return st;
    e->info.name = gla__strdup(name);
    if (!e->info.name)
        return gla__fail_nomem(diag, "a name");
    if (!dtype || json_object_size(j) != 3)
        return gla__fail(diag, GLA_E_CORRUPT, "must have dtype, shape and data_offsets");
    e->info.dtype = parse_dtype(dtype);
    if (!e->info.dtype)
        return gla__fail(diag, GLA_E_UNSUPPORTED, "dtype %.20s is not supported", dtype);
    st = read_shape(&e->info, json_object_get(j, "shape"), diag);
    if (st)
        return st;
    e->info.raw_bytes = e->info.stored_bytes = gla__info_bytes(&e->info);
    return read_offsets(e, json_object_get(j, "data_offsets"), diag);
}

/* By the place of their bytes; of empty ones at one place, which have no order, by name. */
static int by_begin(const void *a, const void *b)
{
    const gla__st_entry *x = a, *y = b;

    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    if (x->info.raw_bytes != y->info.raw_bytes)
        return x->info.raw_bytes < y->info.raw_bytes ? -1 : 1;
    return strcmp(x->info.name, y->info.name);
}

static gla_status check_no_holes(const gla__st_entry *entries, uint32_t n, uint64_t data,
                                 uint64_t *data_bytes, gla_diag *diag)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].begin != at) {
            gla__fail(diag, GLA_E_CORRUPT,
                      "its bytes begin at %" PRIu64 ", those before it end at %" PRIu64,
                      entries[i].begin, at);
            gla__at_format(diag, "tensor %s", entries[i].info.name);
            return GLA_E_CORRUPT;
        }
        at += entries[i].info.raw_bytes; /* gla__count_bytes() has found the sum to be small */
    }
    *data_bytes = at;
    if (data != UINT64_MAX && at != data)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "tensors of %" PRIu64 " bytes, the file has %" PRIu64 " after its header",
                         at, data);
    return GLA_OK;
}

static gla_status read_entries(const json_t *root, const gla_limits *limits,
                               gla__st_entry **entries, uint32_t *n, gla_diag *diag)
{
    const size_t size = json_object_size(root);
    const char *key;
    json_t *value;
    uint64_t total = 0;
    gla_status st;

    if (size && size - 1 > limits->max_tensors) /* one may be __metadata__ */
        return gla__fail(diag, GLA_E_LIMIT, "%zu tensors, at most %" PRIu64 " allowed", size,
                         limits->max_tensors);
    *entries = gla__alloc_array(size ? size : 1, sizeof(**entries));
    if (!*entries)
        return gla__fail_nomem(diag, "tensors");
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (!strcmp(key, "__metadata__")) {
            st = check_metadata(value, diag);
        } else {
            gla__st_entry *e = &(*entries)[(*n)++];

            st = read_entry(e, key, value, diag);
            if (!st)
                st = gla__count_bytes(e->info.raw_bytes, limits, &total, diag);
            if (st)
                gla__at_format(diag, "tensor %.150s", key);
        }
        if (st)
            return st;
    }
    return GLA_OK;
}

gla_status gla__safetensors_parse_header(const char *text, size_t size, uint64_t data,
                                         const gla_limits *limits, gla__st_entry **entries,
                                         uint32_t *n, uint64_t *data_bytes, gla_diag *diag)
{
    gla_limits l;
    json_t *root;
    gla_status st = gla__limits(limits, &l, diag);

    *entries = NULL;
    *n = 0;
    *data_bytes = 0;
    if (st)
        return st;
    if (!size || text[0] != '{')
        return gla__fail(diag, GLA_E_CORRUPT, "the header does not begin with {");
    st = gla__json_parse(text, size,
                         l.max_index_bytes ? l.max_index_bytes : GLA__SAFETENSORS_MAX_HEADER,
                         "header", &root, diag);
    if (st)
        return st;
    st = read_entries(root, &l, entries, n, diag);
    json_decref(root);
    if (!st) {
        qsort(*entries, *n, sizeof(**entries), by_begin);
        st = check_no_holes(*entries, *n, data, data_bytes, diag);
    }
    if (st) {
        gla__safetensors_free_entries(*entries, *n);
        *entries = NULL;
        *n = 0;
    }
    return st;
}

void gla__safetensors_free_entries(gla__st_entry *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        gla__free((void *)(uintptr_t)entries[i].info.name);
    gla__free(entries);
}

/* ---- files ------------------------------------------------------------------ */

static gla_status read_header(shard *s, const gla_limits *limits, gla__st_entry **entries,
                              uint32_t *n, gla_diag *diag)
{
    const uint64_t limit =
        limits->max_index_bytes ? limits->max_index_bytes : GLA__SAFETENSORS_MAX_HEADER;
    uint8_t length[8];
    uint64_t size, data_bytes;
    gla_status st = gla__file_read(&s->file, 0, length, sizeof(length), diag);

    if (st)
        return st;
    size = gla__load_u64(length);
    if (size > limit)
        return gla__fail(diag, GLA_E_LIMIT,
                         "a header of %" PRIu64 " bytes, at most %" PRIu64 " allowed", size, limit);
    if (size > s->file.size - 8)
        return gla__fail(diag, GLA_E_CORRUPT,
                         "a header of %" PRIu64 " bytes, the file has %" PRIu64, size,
                         s->file.size);
    s->header = gla__alloc((size_t)size + 1);
    if (!s->header)
        return gla__fail_nomem(diag, "the header");
    s->header[size] = '\0';
    s->size = (size_t)size;
    st = gla__file_read(&s->file, 8, s->header, s->size, diag);
    if (st)
        return st;
    return gla__safetensors_parse_header(s->header, s->size, s->file.size - 8 - size, limits,
                                         entries, n, &data_bytes, diag);
}

/* Opens the next shard and takes over its tensors. */
static gla_status add_shard(st_file *f, const char *path, const gla_limits *limits, uint64_t *total,
                            gla_diag *diag)
{
    shard *s = &f->shards[f->n_shards++];
    const char *slash = strrchr(path, '/');
    gla__st_entry *entries = NULL, *all;
    uint32_t n = 0;
    gla_status st = gla__file_open(&s->file, path, diag);

    if (st)
        return st;
    s->name = gla__strdup(slash ? slash + 1 : path);
    st = s->name ? read_header(s, limits, &entries, &n, diag) : gla__fail_nomem(diag, "a name");
    for (uint32_t i = 0; !st && i < n; i++) {
        entries[i].file = f->n_shards - 1;
        st = gla__count_bytes(entries[i].info.raw_bytes, limits, total, diag);
    }
    if (!st && n > limits->max_tensors - f->base.n)
        st = gla__fail(diag, GLA_E_LIMIT, "more than %" PRIu64 " tensors", limits->max_tensors);
    if (st)
        goto fail;
    all = gla__realloc(f->base.tensors, f->base.n * sizeof(*all),
                       ((size_t)f->base.n + n + 1) * sizeof(*all));
    if (!all) {
        st = gla__fail_nomem(diag, "tensors");
        goto fail;
    }
    if (n)
        memcpy(all + f->base.n, entries, n * sizeof(*all));
    f->base.tensors = all;
    f->base.n += n;
    gla__free(entries);
    return GLA_OK;

fail:
    gla__safetensors_free_entries(entries, n);
    gla__at_file(diag, path);
    return st;
}

static void close_safetensors(gla_weights *w)
{
    st_file *f = (st_file *)w;

    gla__safetensors_free_entries(w->tensors, w->n);
    for (uint32_t i = 0; i < f->n_shards; i++) {
        gla__file_close(&f->shards[i].file);
        gla__free(f->shards[i].name);
        gla__free(f->shards[i].header);
    }
    gla__free(f->shards);
    gla__free(w->path);
    gla__free(f);
}

/* ---- reading ------------------------------------------------------------------ */

static gla_status read_safetensors(const gla_weights *w, const gla_tensor_info *info, void *dst,
                                   gla_diag *diag)
{
    const gla__st_entry *e = (const gla__st_entry *)info;
    const shard *s = &((const st_file *)w)->shards[e->file];

    return gla__read_parallel(&s->file, 8 + s->size + e->begin, info->raw_bytes, dst, diag);
}

/* No checksums here: the header and samples of the values stand for the whole. */
static uint64_t hash_safetensors(const gla_weights *w)
{
    const st_file *f = (const st_file *)w;
    uint64_t hash = 0;

    for (uint32_t i = 0; i < f->n_shards; i++)
        hash = XXH3_64bits_withSeed(f->shards[i].header, f->shards[i].size, hash);
    for (uint32_t i = 0; i < w->n; i++) {
        const gla__st_entry *e = (const gla__st_entry *)w->tensors + i;
        const shard *s = &f->shards[e->file];

        hash = gla__hash_sample(&s->file, 8 + s->size + e->begin, e->info.raw_bytes, hash);
    }
    return hash;
}

static const gla__weights_ops safetensors_ops = {read_safetensors, hash_safetensors,
                                                 close_safetensors};

/* ---- opening ------------------------------------------------------------------ */

static st_file *new_file(const char *path, size_t n_shards)
{
    st_file *f = gla__alloc_zero(sizeof(*f));

    if (!f)
        return NULL;
    f->base.ops = &safetensors_ops;
    f->base.format = GLA__SAFETENSORS;
    f->base.stride = sizeof(gla__st_entry);
    f->base.path = gla__strdup(path);
    f->n_shards = 0; /* those that are open */
    f->shards = gla__alloc_array(n_shards ? n_shards : 1, sizeof(*f->shards));
    if (!f->base.path || !f->shards) {
        close_safetensors(&f->base);
        return NULL;
    }
    return f;
}

static gla_status finish_open(st_file *f, gla_status st, gla_weights **out, gla_diag *diag)
{
    if (!st)
        st = gla__sort_tensors(&f->base, diag);
    if (st) {
        gla__at_file(diag, f->base.path);
        close_safetensors(&f->base);
        return st;
    }
    *out = &f->base;
    return GLA_OK;
}

gla_status gla__safetensors_open(const char *path, const gla_limits *limits, gla_weights **out,
                                 gla_diag *diag)
{
    st_file *f = new_file(path, 1);
    uint64_t total = 0;

    *out = NULL;
    if (!f)
        return gla__fail_nomem(diag, "a file");
    return finish_open(f, add_shard(f, path, limits, &total, diag), out, diag);
}

/* A name in the same folder: nothing that leads elsewhere. */
static bool is_file_name(const char *name)
{
    return name && name[0] && name[0] != '.' && strlen(name) < 256 && !strchr(name, '/');
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The different file names of a weight_map, sorted; borrowed from it. */
static gla_status list_shards(const json_t *map, const char ***names, size_t *n, gla_diag *diag)
{
    const char *key;
    json_t *value;
    size_t used = 0, kept = 0;

    *n = 0;
    *names = gla__alloc_array(json_object_size(map) + 1, sizeof(**names));
    if (!*names)
        return gla__fail_nomem(diag, "file names");
    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        if (!is_file_name(json_string_value(value)))
            return gla__fail(diag, GLA_E_CORRUPT,
                             "tensor %.100s: its file must be a name in the same folder", key);
        (*names)[used++] = json_string_value(value);
    }
    qsort(*names, used, sizeof(**names), compare_texts);
    for (size_t i = 0; i < used; i++) {
        if (!kept || strcmp((*names)[i], (*names)[kept - 1]))
            (*names)[kept++] = (*names)[i];
    }
    *n = kept;
    if (kept > 4096)
        return gla__fail(diag, GLA_E_LIMIT, "%zu files, at most 4096 allowed", kept);
    return kept ? GLA_OK : gla__fail(diag, GLA_E_CORRUPT, "\"weight_map\" is empty");
}

/* Every tensor of the map is in the file that the map names. */
static gla_status check_map(const st_file *f, const json_t *map, gla_diag *diag)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        const gla_tensor_info *info = gla_weights_find(&f->base, key);
        const char *file = json_string_value(value);

        if (!info || strcmp(f->shards[((const gla__st_entry *)info)->file].name, file))
            return gla__fail(diag, GLA_E_CORRUPT, "tensor %.100s is not in %.100s", key, file);
    }
    return GLA_OK;
}

static gla_status open_shards(const char *path, const json_t *map, const gla_limits *limits,
                              gla_weights **out, gla_diag *diag)
{
    char *dir = gla__path_dir(path);
    const char **names = NULL;
    st_file *f = NULL;
    uint64_t total = 0;
    size_t n = 0;
    gla_status st = dir ? list_shards(map, &names, &n, diag) : gla__fail_nomem(diag, "a path");

    if (!st) {
        f = new_file(path, n);
        st = f ? GLA_OK : gla__fail_nomem(diag, "a file");
    }
    for (size_t i = 0; !st && i < n; i++) {
        char *shard_path = gla__path_join(dir, names[i]);

        st = shard_path ? add_shard(f, shard_path, limits, &total, diag)
                        : gla__fail_nomem(diag, "a path");
        gla__free(shard_path);
    }
    if (f) {
        st = finish_open(f, st, out, diag);
        if (!st)
            st = check_map(f, map, diag);
        if (st) {
            gla_weights_free(*out);
            *out = NULL;
        }
    }
    gla__free(names);
    gla__free(dir);
    return st;
}

gla_status gla__safetensors_open_sharded(const char *path, const gla_limits *limits,
                                         gla_weights **out, gla_diag *diag)
{
    const json_t *map;
    json_t *root;
    gla_status st;

    *out = NULL;
    st = gla__json_read(
        path, limits->max_index_bytes ? limits->max_index_bytes : GLA__SAFETENSORS_MAX_HEADER,
        &root, diag);
    if (st)
        return st;
    map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        st = gla__fail(diag, GLA_E_CORRUPT, "no \"weight_map\": not an index of safetensors files");
    else
        st = open_shards(path, map, limits, out, diag);
    if (st)
        gla__at_file(diag, path);
    json_decref(root);
    return st;
}

/* ---- for the converter -------------------------------------------------------- */

bool gla__is_safetensors(const gla_weights *w)
{
    return w->format == GLA__SAFETENSORS;
}

uint32_t gla__safetensors_n_files(const gla_weights *w)
{
    return gla__is_safetensors(w) ? ((const st_file *)w)->n_shards : 0;
}

const char *gla__safetensors_file(const gla_weights *w, uint32_t i, const char **header,
                                  size_t *size)
{
    const shard *s = &((const st_file *)w)->shards[i];

    *header = s->header;
    *size = s->size;
    return s->name;
}

gla_status gla__safetensors_read_range(const gla_weights *w, const gla_tensor_info *info,
                                       uint64_t first, uint64_t count, void *dst, gla_diag *diag)
{
    const gla__st_entry *e = (const gla__st_entry *)info;
    const shard *s = &((const st_file *)w)->shards[e->file];
    uint64_t end;
    gla_status st;

    if (!gla__add_u64(first, count, &end) || end > info->n_elements)
        return gla__fail(diag, GLA_E_INVALID, "numbers %" PRIu64 " to %" PRIu64 " of tensor %s",
                         first, end, info->name);
    if (!count)
        return GLA_OK;
    {
        const uint64_t each = info->raw_bytes / info->n_elements;

        st = gla__read_parallel(&s->file, 8 + s->size + e->begin + first * each, count * each, dst,
                                diag);
    }
    if (st) {
        gla__at_format(diag, "tensor %s", info->name);
        gla__at(diag, w->path);
    }
    return st;
}
