/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/text/yaml.h"

#include <string.h>
#include <xxhash.h>
#include <yaml.h>

#include "base/alloc.h"
#include "base/diag.h"

typedef struct builder {
    gla__yaml_doc *doc;
    gla__yaml *open[GLA__YAML_MAX_DEPTH]; /* the containers we are in */
    uint32_t depth, n_events, n_documents;
    char *key; /* waits for its value */
    uint32_t key_line, key_column;
    gla_diag *diag;
} builder;

static uint32_t line_of(const yaml_event_t *e)
{
    return (uint32_t)e->start_mark.line + 1;
}

static uint32_t column_of(const yaml_event_t *e)
{
    return (uint32_t)e->start_mark.column + 1;
}

static gla_status refuse(const builder *b, const yaml_event_t *e, gla_status st, const char *what,
                         const char *hint)
{
    gla__fail(b->diag, st, "%s", what);
    gla__at_line(b->diag, line_of(e), column_of(e));
    if (hint)
        gla__hint(b->diag, "%s", hint);
    return st;
}

static gla_status refuse_decoration(const builder *b, const yaml_event_t *e,
                                    const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (anchor)
        return refuse(b, e, GLA_E_SCHEMA, "anchors are not allowed here",
                      "name a block and use the name instead");
    if (tag)
        return refuse(b, e, GLA_E_SCHEMA, "tags are not allowed here", "leave the tag out");
    return GLA_OK;
}

/* A new node as the next child of the open container (or as the root). */
static gla_status add_node(builder *b, const yaml_event_t *e, uint32_t kind, gla__yaml **out)
{
    gla__yaml_doc *d = b->doc;
    gla__yaml *parent = b->depth ? b->open[b->depth - 1] : NULL;
    gla__yaml *n;

    *out = NULL;
    if (gla__grow((void **)&d->nodes, &d->capacity, d->n_nodes, sizeof(*d->nodes)))
        return gla__fail_nomem(b->diag, "YAML");
    n = gla__alloc_zero(sizeof(*n));
    if (!n)
        return gla__fail_nomem(b->diag, "YAML");
    d->nodes[d->n_nodes++] = n;
    n->kind = kind;
    n->line = line_of(e);
    n->column = column_of(e);
    if (!parent) {
        d->root = n;
    } else {
        if (parent->last)
            parent->last->next = n;
        else
            parent->first = n;
        parent->last = n;
        parent->count++;
    }
    if (b->key) {
        n->key = b->key;
        n->key_line = b->key_line;
        n->key_column = b->key_column;
        n->key_hash = (uint32_t)XXH3_64bits(n->key, strlen(n->key));
        b->key = NULL;
    }
    *out = n;
    return GLA_OK;
}

static bool expects_key(const builder *b)
{
    return b->depth && b->open[b->depth - 1]->kind == GLA__YAML_MAP && !b->key;
}

static gla_status take_key(builder *b, const yaml_event_t *e, const char *text, size_t length)
{
    const gla__yaml *map = b->open[b->depth - 1];
    const uint32_t hash = (uint32_t)XXH3_64bits(text, length);

    if (length == 2 && !memcmp(text, "<<", 2))
        return refuse(b, e, GLA_E_SCHEMA, "merge keys are not allowed here", NULL);
    if (!length)
        return refuse(b, e, GLA_E_SCHEMA, "a key is missing before ':'", NULL);
    if (map->count >= GLA__YAML_MAX_KEYS)
        return refuse(b, e, GLA_E_LIMIT, "more than 4096 keys in one mapping", NULL);
    for (const gla__yaml *c = map->first; c; c = c->next) {
        if (c->key_hash == hash && !strcmp(c->key, text)) {
            const gla_status st = gla__fail(b->diag, GLA_E_SCHEMA, "duplicate key \"%s\"", text);

            gla__at_line(b->diag, line_of(e), column_of(e));
            gla__hint(b->diag, "it stands in line %" PRIu32 " already", c->key_line);
            return st;
        }
    }
    b->key = gla__strndup(text, length);
    if (!b->key)
        return gla__fail_nomem(b->diag, "YAML");
    b->key_line = line_of(e);
    b->key_column = column_of(e);
    return GLA_OK;
}

/* libyaml refuses them in the file, but "\e" stands for one.  Names are shown on terminals. */
static bool has_control(const char *text, size_t length)
{
    const unsigned char *s = (const unsigned char *)text;

    for (size_t i = 0; i < length; i++)
        if (s[i] < 0x20 || s[i] == 0x7f || (s[i] == 0xc2 && s[i + 1] < 0xa0))
            return true;
    return false;
}

static gla_status on_scalar(builder *b, const yaml_event_t *e)
{
    const char *text = (const char *)e->data.scalar.value;
    const size_t length = e->data.scalar.length;
    gla__yaml *n;
    gla_status st = refuse_decoration(b, e, e->data.scalar.anchor, e->data.scalar.tag);

    if (st)
        return st;
    if (length > GLA__YAML_MAX_SCALAR)
        return refuse(b, e, GLA_E_LIMIT, "a value of more than 65536 bytes", NULL);
    if (has_control(text, length))
        return refuse(b, e, GLA_E_SCHEMA, "a control character in a value", NULL);
    if (expects_key(b))
        return take_key(b, e, text, length);
    st = add_node(b, e, GLA__YAML_SCALAR, &n);
    if (st)
        return st;
    n->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    n->length = length;
    n->text = gla__strndup(text, length);
    return n->text ? GLA_OK : gla__fail_nomem(b->diag, "YAML");
}

static gla_status on_start(builder *b, const yaml_event_t *e, uint32_t kind)
{
    const bool map = kind == GLA__YAML_MAP;
    gla__yaml *n;
    gla_status st =
        refuse_decoration(b, e, map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor,
                          map ? e->data.mapping_start.tag : e->data.sequence_start.tag);

    if (st)
        return st;
    if (expects_key(b))
        return refuse(b, e, GLA_E_SCHEMA, "a key must be a word", NULL);
    if (b->depth >= GLA__YAML_MAX_DEPTH)
        return refuse(b, e, GLA_E_LIMIT, "nested more than 32 levels deep", NULL);
    st = add_node(b, e, kind, &n);
    if (!st)
        b->open[b->depth++] = n;
    return st;
}

static gla_status on_event(builder *b, const yaml_event_t *e)
{
    if (++b->n_events > GLA__YAML_MAX_EVENTS)
        return refuse(b, e, GLA_E_LIMIT, "more than 100000 YAML elements", NULL);
    switch (e->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (++b->n_documents > 1)
            return refuse(b, e, GLA_E_SCHEMA, "more than one document", "remove the second '---'");
        if (e->data.document_start.tag_directives.start !=
            e->data.document_start.tag_directives.end)
            return refuse(b, e, GLA_E_SCHEMA, "%TAG is not allowed here", NULL);
        return GLA_OK;
    case YAML_ALIAS_EVENT:
        return refuse(b, e, GLA_E_SCHEMA, "aliases are not allowed here",
                      "name a block and use the name instead");
    case YAML_SCALAR_EVENT:
        return on_scalar(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return on_start(b, e, GLA__YAML_LIST);
    case YAML_MAPPING_START_EVENT:
        return on_start(b, e, GLA__YAML_MAP);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth -= b->depth > 0; /* libyaml pairs them */
        return GLA_OK;
    default:
        return GLA_OK;
    }
}

static gla_status parser_failure(const yaml_parser_t *p, gla_diag *diag)
{
    if (p->error == YAML_MEMORY_ERROR)
        return gla__fail_nomem(diag, "YAML");
    gla__fail(diag, GLA_E_SCHEMA, "not valid YAML: %s%s%s", p->context ? p->context : "",
              p->context ? ", " : "", p->problem ? p->problem : "unknown problem");
    if (p->error == YAML_READER_ERROR)
        gla__at_offset(diag, p->problem_offset);
    else
        gla__at_line(diag, (uint32_t)p->problem_mark.line + 1,
                     (uint32_t)p->problem_mark.column + 1);
    return GLA_E_SCHEMA;
}

gla_status gla__yaml_parse(const char *text, size_t size, gla__yaml_doc *doc, gla_diag *diag)
{
    builder b = {0};
    yaml_parser_t parser;
    yaml_event_t event;
    gla_status st = GLA_OK;
    bool end = false;

    memset(doc, 0, sizeof(*doc));
    b.doc = doc;
    b.diag = diag;
    if (size > GLA__YAML_MAX_FILE)
        return gla__fail(diag, GLA_E_LIMIT, "file of %zu bytes, at most %u allowed", size,
                         GLA__YAML_MAX_FILE);
    if (!yaml_parser_initialize(&parser))
        return gla__fail_nomem(diag, "YAML");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    while (!st && !end) {
        if (!yaml_parser_parse(&parser, &event)) {
            st = parser_failure(&parser, diag);
            break;
        }
        st = on_event(&b, &event);
        end = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    gla__free(b.key);
    if (!st && !doc->root)
        st = gla__fail(diag, GLA_E_SCHEMA, "the file is empty");
    return st;
}

void gla__yaml_free(gla__yaml_doc *doc)
{
    for (size_t i = 0; i < doc->n_nodes; i++) {
        gla__free(doc->nodes[i]->text);
        gla__free(doc->nodes[i]->key);
        gla__free(doc->nodes[i]);
    }
    gla__free(doc->nodes);
    memset(doc, 0, sizeof(*doc));
}

const gla__yaml *gla__yaml_get(const gla__yaml *map, const char *key)
{
    for (const gla__yaml *c = map->first; c; c = c->next) {
        if (!strcmp(c->key, key))
            return c;
    }
    return NULL;
}

const char *gla__yaml_kind_name(const gla__yaml *node)
{
    switch (node->kind) {
    case GLA__YAML_LIST:
        return "a list";
    case GLA__YAML_MAP:
        return "a mapping";
    default:
        return "text";
    }
}
