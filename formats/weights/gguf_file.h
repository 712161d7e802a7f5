/* SPDX-License-Identifier: Apache-2.0
 *
 * gguf_file.h - the inside of an open .gguf, for the gguf*.c files only
 *
 * A model is one file, or several parts NAME-00001-of-0000N.gguf: the first has the key-value
 * pairs, all have tensors.  The handle owns everything; after opening nothing changes.
 */
#ifndef GLA_FORMATS_WEIGHTS_GGUF_FILE_H
#define GLA_FORMATS_WEIGHTS_GGUF_FILE_H

#include "formats/weights/gguf.h"
#include "formats/weights/reader.h"

enum gla__gguf_value {
    GLA__GGUF_U8,
    GLA__GGUF_I8,
    GLA__GGUF_U16,
    GLA__GGUF_I16,
    GLA__GGUF_U32,
    GLA__GGUF_I32,
    GLA__GGUF_F32,
    GLA__GGUF_BOOL,
    GLA__GGUF_STRING,
    GLA__GGUF_ARRAY,
    GLA__GGUF_U64,
    GLA__GGUF_I64,
    GLA__GGUF_F64,
    GLA__GGUF_VALUES
};

/* Of a gla__gguf_value; 0 for STRING and ARRAY. */
static inline uint32_t gla__gguf_value_bytes(uint32_t type)
{
    static const uint8_t bytes[GLA__GGUF_VALUES] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

    return bytes[type];
}

typedef struct gla__gguf_pair {
    char *key;
    uint32_t type, element; /* gla__gguf_value; element of an ARRAY */
    uint64_t n;             /* elements of an ARRAY, bytes of a STRING */
    size_t at;              /* of the value's first byte in the head */
} gla__gguf_pair;

/* A quantised type: rows are whole blocks. */
typedef struct gla__gguf_blocks {
    uint32_t type, numbers, bytes;                    /* of a block */
    void (*expand)(const uint8_t *block, float *out); /* out: [numbers] */
} gla__gguf_blocks;

typedef struct gla__gguf_tensor {
    gla_tensor_info info;
    uint64_t offset; /* in the data, later in the file */
    uint32_t type;   /* of gguf */
    uint32_t part;
} gla__gguf_tensor;

typedef struct gla__gguf_part {
    char *path;
    gla__file file;
    uint64_t max_head;
    uint8_t *head; /* the first `have` bytes of the file */
    size_t have, at;
    gla__gguf_pair *pairs; /* sorted by key once they are all there */
    uint32_t n_pairs;
} gla__gguf_part;

typedef struct gla__gguf_file {
    gla_weights base;
    gla_limits limits;
    gla__gguf_part *parts;
    uint32_t n_parts;
    uint64_t raw_bytes; /* of all tensors so far */
} gla__gguf_file;

/* NULL for types that are not quantised, or not known. */
const gla__gguf_blocks *gla__gguf_blocks_of(uint32_t type);
/* Reads the head of part `index`, whose file is open, and appends its tensors. */
gla_status gla__gguf_read_head(gla__gguf_file *g, uint32_t index, gla_diag *diag);
/* The same questions as gguf.h's, about one part. */
const gla__gguf_pair *gla__gguf_pair_find(const gla__gguf_part *p, const char *key);
bool gla__gguf_part_u64(const gla__gguf_part *p, const char *key, uint64_t *out);

#endif
