/* SPDX-License-Identifier: Apache-2.0
 *
 * parts.h - what a tokenizer is made of, for this room only
 *
 * Text goes down a list of steps, each handing its pieces to the next one, so that no step needs
 * memory for all pieces at once:
 *
 *     added tokens -> normalizers -> added tokens -> pre-tokenizers -> BPE -> ids
 *
 * A tokenizer.json nests Sequences; here the lists are flat, and a part that does two things
 * (ByteLevel: split, then map bytes) is two steps.  Decoding is a list of steps as well, and works
 * on a stream: decoding a whole text is streaming it.
 *
 * gla_tokenizer owns everything in it and is not changed after opening; gla__encoder belongs to one
 * call, gla_detokenizer to its caller.
 */
#ifndef GLA_FORMATS_TOKENIZER_PARTS_H
#define GLA_FORMATS_TOKENIZER_PARTS_H

#include <gla/tokenizer.h>
#include <jansson.h>
#include <stdbool.h>

#include "formats/text/utf8.h"
#include "formats/tokenizer/regex.h"

#define GLA__TOK_MAX_STEPS 64 /* of one list, Sequences flattened */
#define GLA__TOK_MAX_ID    (1u << 22)
#define GLA__TOK_MAX_FILE  (1u << 28)
#define GLA__TOK_MAX_TEXT  (1u << 30) /* positions in a word are 31 bits */
#define GLA__TOK_MAX_AFFIX 64         /* ids that the post-processor adds on one side */

/* ---- vocabulary and merges (bpe.c) ---- */

/* Token strings to ids: open addressing over XXH3 of the bytes. */
typedef struct gla__vocab {
    uint32_t *slots; /* [mask + 1] entry + 1; 0 = free */
    uint32_t mask, n, capacity;
    struct gla__vocab_entry {
        const char *text; /* not owned */
        uint32_t size, id;
    } * entries;
} gla__vocab;

gla_status gla__vocab_init(gla__vocab *v, size_t capacity);
void gla__vocab_deinit(gla__vocab *v);
/* False if the text is already there (or the table is full). */
bool gla__vocab_add(gla__vocab *v, const char *text, size_t size, uint32_t id);
int32_t gla__vocab_find(const gla__vocab *v, const char *text, size_t size); /* -1: not there */

typedef struct gla__merge {
    uint64_t pair; /* left << 32 | right; UINT64_MAX = free */
    uint32_t rank, id;
} gla__merge;

typedef struct gla__merges {
    gla__merge *slots; /* [mask + 1] */
    size_t mask;
} gla__merges;

gla_status gla__merges_init(gla__merges *m, size_t n);
void gla__merges_deinit(gla__merges *m);
/* A pair that is already there takes the new rank, as in the published implementation. */
void gla__merges_put(gla__merges *m, uint32_t left, uint32_t right, uint32_t rank, uint32_t id);
bool gla__merges_has(const gla__merges *m, uint32_t left, uint32_t right);

/* ---- added tokens (added.c) ---- */

typedef struct gla__added {
    char *content; /* owned */
    uint32_t size, id;
    bool single_word, lstrip, rstrip, normalized, special;
} gla__added;

typedef struct gla__trie {
    struct gla__trie_node {
        uint32_t child, sibling; /* 0 = none */
        int32_t token;           /* index of the added token that ends here, or -1 */
        unsigned char byte;
    } * nodes; /* nodes[0] is the root */
    size_t n, capacity;
    bool first[256]; /* bytes that begin a token */
} gla__trie;

void gla__trie_deinit(gla__trie *t);
/* The first of equal texts stays. */
gla_status gla__trie_add(gla__trie *t, const char *text, size_t size, int32_t token);

/* ---- the steps ---- */

typedef enum gla__normal_kind {
    GLA__NORMAL_FORM, /* NFC and its relatives: `option` is utf8proc's */
    GLA__NORMAL_LOWERCASE,
    GLA__NORMAL_STRIP,
    GLA__NORMAL_STRIP_ACCENTS,
    GLA__NORMAL_PREPEND,
    GLA__NORMAL_REPLACE,
    GLA__NORMAL_BYTES
} gla__normal_kind;

typedef struct gla__normal {
    gla__normal_kind kind;
    int option;
    bool left, right; /* STRIP */
    char *text;       /* PREPEND, REPLACE: what is put there; owned */
    size_t size;
    gla__regex *regex; /* REPLACE */
} gla__normal;

typedef enum gla__behavior {
    GLA__ISOLATED,
    GLA__REMOVED,
    GLA__MERGED_WITH_PREVIOUS,
    GLA__MERGED_WITH_NEXT,
    GLA__CONTIGUOUS
} gla__behavior;

typedef enum gla__pre_kind {
    GLA__PRE_SPLIT,  /* regex, behavior, invert */
    GLA__PRE_DIGITS, /* characters of the class, behavior */
    GLA__PRE_PUNCTUATION,
    GLA__PRE_WHITESPACE,
    GLA__PRE_PREFIX_SPACE, /* a space in front unless there is one */
    GLA__PRE_METASPACE,    /* spaces to text, text in front according to `prepend` */
    GLA__PRE_BYTES         /* each byte to its printable character */
} gla__pre_kind;

typedef enum gla__prepend {
    GLA__PREPEND_ALWAYS,
    GLA__PREPEND_FIRST,
    GLA__PREPEND_NEVER
} gla__prepend;

typedef struct gla__pre {
    gla__pre_kind kind;
    gla__behavior behavior;
    bool invert;
    gla__prepend prepend;
    char *text; /* METASPACE: the replacement, one character; owned */
    size_t size;
    gla__regex *regex;
} gla__pre;

typedef enum gla__decode_kind {
    GLA__DECODE_JOIN, /* no decoder in the file: tokens with spaces between */
    GLA__DECODE_BYTES,
    GLA__DECODE_REPLACE,
    GLA__DECODE_BYTE_FALLBACK,
    GLA__DECODE_FUSE,
    GLA__DECODE_STRIP,
    GLA__DECODE_METASPACE
} gla__decode_kind;

typedef struct gla__decode {
    gla__decode_kind kind;
    char *text; /* REPLACE: the new text; STRIP, METASPACE: the character; owned */
    size_t size;
    uint64_t start, stop; /* STRIP: at most so many at either end */
    bool drop_first;      /* METASPACE: none in the first token */
    gla__regex *regex;    /* REPLACE */
} gla__decode;

/* ---- the whole ---- */

struct gla_tokenizer {
    char *arena; /* texts of the model's vocabulary, NUL after each */
    struct gla__token {
        const char *text; /* NULL: a gap */
        uint32_t size;
        bool special;
    } * tokens;     /* [n_ids] */
    uint32_t n_ids; /* largest id + 1 */
    gla__vocab vocab;
    gla__merges merges;
    /* Characters that stand side by side in some merge.  Between two others a word can be cut: no
     * merge reaches across.  Empty (slots NULL) where words are short anyhow. */
    gla__merges neighbours;
    bool byte_fallback, fuse_unk, ignore_merges, has_unk;
    int32_t unk;           /* -1: named, but not in the vocabulary */
    int32_t byte_ids[256]; /* of the character that stands for each byte; -1 = none */
    int32_t fallback[256]; /* of <0x00> ... <0xFF> */

    gla__added *added; /* [n_added] */
    size_t n_added;
    gla__vocab added_ids;
    gla__trie raw, normalized;

    gla__normal normals[GLA__TOK_MAX_STEPS];
    gla__pre pres[GLA__TOK_MAX_STEPS];
    gla__decode decodes[GLA__TOK_MAX_STEPS];
    uint32_t n_normals, n_pres, n_decodes;
    int32_t prefix[GLA__TOK_MAX_AFFIX], suffix[GLA__TOK_MAX_AFFIX];
    uint32_t n_prefix, n_suffix;
};

/* Fills a zeroed tokenizer from the parsed file (file.c). */
gla_status gla__tokenizer_read(gla_tokenizer *t, const json_t *root, gla_diag *diag);
/* The lists of steps (steps.c); read before the added tokens. */
gla_status gla__tokenizer_read_steps(gla_tokenizer *t, const json_t *root, gla_diag *diag);

/* One symbol of a word that is being merged. */
typedef struct gla__symbol {
    uint32_t id;
    int32_t prev, next; /* -1 = none */
    bool dead;          /* became part of its left neighbour */
} gla__symbol;

/* One call of gla_tokenizer_encode(). */
typedef struct gla__encoder {
    const gla_tokenizer *t;
    bool plain;
    gla_diag *diag;
    int32_t *ids;
    size_t n_ids, ids_capacity;
    gla__symbol *symbols;
    size_t n_symbols, symbols_capacity;
    uint64_t *heap; /* rank << 32 | position of the left symbol: lowest first */
    size_t n_heap, heap_capacity;
    gla__bytes mapped;                    /* a word through the byte map */
    gla__bytes normal[2];                 /* the text before and after a normalizer */
    gla__bytes texts[GLA__TOK_MAX_STEPS]; /* of pre-tokenizers that change it */
    gla__regex_scratch scratch;
} gla__encoder;

gla_status gla__encoder_push(gla__encoder *e, uint32_t id);
void gla__encoder_deinit(gla__encoder *e);
/* Splits text at the added tokens of the trie; gaps go to `gap`, tokens to the ids.  `head`: the
 * text begins where the whole text begins. */
typedef gla_status (*gla__gap_fn)(gla__encoder *e, const char *s, size_t n, bool head);
gla_status gla__added_split(gla__encoder *e, const gla__trie *trie, const char *s, size_t n,
                            bool head, gla__gap_fn gap);
/* Runs the normalizers; *out is text of the encoder, or s itself. */
gla_status gla__normalize(const gla_tokenizer *t, gla__bytes work[2], gla__regex_scratch *scratch,
                          const char *s, size_t n, const char **out, size_t *out_n, bool *head,
                          gla_diag *diag);
gla_status gla__replace_all(const gla__regex *re, gla__regex_scratch *scratch, const char *s,
                            size_t n, const char *with, size_t with_n, gla__bytes *out,
                            gla_diag *diag);
/* Runs pre-tokenizer `step` and those after it on one piece, then BPE. */
gla_status gla__pretokenize(gla__encoder *e, uint32_t step, const char *s, size_t n, bool head);
/* Appends the ids of one word.  bytes: the word is raw bytes, to be seen through the byte map. */
gla_status gla__bpe(gla__encoder *e, const char *s, size_t n, bool bytes);

#endif
