/* SPDX-License-Identifier: Apache-2.0
 *
 * weights.c - the one door to weights: the format is told by a file's first bytes
 */
#include <string.h>

#include "base/alloc.h"
#include "base/diag.h"
#include "formats/weights/reader.h"

/* ---- opening by content ---------------------------------------------------- */

/* The file of a folder that holds the weights; NULL and *st == 0 if there is none. */
static char *find_in_folder(const char *folder, gla_status *st, gla_diag *diag)
{
    static const char *const names[] = {"weights.glaw", "model.safetensors",
                                        "model.safetensors.index.json", "model.gguf"};

    *st = GLA_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = gla__path_join(folder, names[i]);

        if (!path) {
            *st = gla__fail_nomem(diag, "a path");
            return NULL;
        }
        if (gla__exists(path))
            return path;
        gla__free(path);
    }
    *st = gla__fail(diag, GLA_E_IO, "no weights.glaw, model.safetensors or model.gguf in it");
    gla__at(diag, folder);
    return NULL;
}

static gla_status open_file(const char *path, const gla_limits *limits, gla_weights **out,
                            gla_diag *diag)
{
    uint8_t head[9] = {0};
    gla__file f;
    size_t n;
    gla_status st = gla__file_open(&f, path, diag);

    if (st)
        return st;
    n = f.size < sizeof(head) ? (size_t)f.size : sizeof(head);
    st = gla__file_read(&f, 0, head, n, diag);
    gla__file_close(&f);
    if (st)
        return st;
    if (!memcmp(head, "\x89glaw", 5))
        return gla__glaw_open(path, limits, out, diag);
    if (!memcmp(head, "GGUF", 4))
        return gla__gguf_open(path, limits, out, diag);
    /* eight bytes of length may begin with 123, which is a brace; text has no NUL */
    if (head[8] == '{' && (head[0] != '{' || !head[7]))
        return gla__safetensors_open(path, limits, out, diag);
    if (head[0] == '{')
        return gla__safetensors_open_sharded(path, limits, out, diag);
    st = gla__fail(diag, GLA_E_CORRUPT, "neither glaw nor safetensors nor gguf");
    gla__at(diag, path);
    return st;
}

gla_status gla_weights_open(const char *path, const gla_limits *limits, gla_weights **out,
                            gla_diag *diag)
{
    gla_limits filled;
    char *inside = NULL;
    gla_status st = gla__limits(limits, &filled, diag);

    *out = NULL;
    if (st)
        return st;
    if (gla__is_dir(path)) {
        inside = find_in_folder(path, &st, diag);
        if (!inside)
            return st;
    }
    st = open_file(inside ? inside : path, &filled, out, diag);
    gla__free(inside);
    return st;
}

/* ---- reading --------------------------------------------------------------- */

gla_status gla_weights_read(const gla_weights *w, const gla_tensor_info *info, void *dst,
                            gla_diag *diag)
{
    gla_status st;

    if (gla_weights_find(w, info->name) != info)
        return gla__fail(diag, GLA_E_INVALID, "tensor %s is not of this file", info->name);
    if (!info->raw_bytes)
        return GLA_OK;
    st = w->ops->read(w, info, dst, diag);
    if (st) {
        gla__at_format(diag, "tensor %s", info->name);
        gla__at(diag, w->path);
    }
    return st;
}

uint64_t gla_weights_hash(const gla_weights *w)
{
    return w->ops->hash(w);
}
