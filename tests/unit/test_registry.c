/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/registry.h"

#include <criterion/criterion.h>
#include <string.h>

#include "support/toy_layers.h"

Test(registry, finds_by_short_full_and_foreign_names)
{
    gla_registry *r = toy_registry();
    const gla_layer_desc *gla = gla_registry_find(r, "gla");

    cr_assert_not_null(gla);
    cr_expect_str_eq(gla->type_id, "gla.gla/1");
    cr_expect_eq(gla_registry_find(r, "gla.gla"), gla);
    cr_expect_eq(gla_registry_find(r, "gla.gla/1"), gla);
    cr_expect_null(gla_registry_find(r, "gla.gla/2"));
    cr_expect_null(gla_registry_find(r, "gl"));
    cr_expect_null(gla_registry_find(r, ""));
    cr_expect_not_null(gla_registry_find(r, "test.sum"));
    cr_expect_null(gla_registry_find(r, "sum"));
    gla_registry_free(r);
}

/* A copy of test.sum to spoil, in an entry to spoil. */
typedef struct spoiled {
    gla_layer_desc desc;
    const gla_layer_desc *layers[2];
    gla_plugin_entry entry;
    gla_param_desc params[2];
} spoiled;

static void copy(spoiled *s)
{
    gla_registry *r = toy_registry();

    s->desc = *gla_registry_find(r, "test.sum");
    gla_registry_free(r);
    s->layers[0] = s->layers[1] = &s->desc;
    s->entry = gla_plugin_entry_v1_toy;
    s->entry.layers = s->layers;
    s->entry.n_layers = 1;
    s->params[0] = s->params[1] = (gla_param_desc)GLA_P_INT("n", 1, 0, 4, "");
    s->desc.params = s->params;
    s->desc.n_params = 1;
}

static void expect(const spoiled *s, gla_status status, const char *message)
{
    gla_registry *r;
    gla_diag diag = {0};

    cr_assert_eq(gla__registry_create_empty(NULL, &r, NULL), GLA_OK);
    cr_expect_eq(gla__registry_add(r, &s->entry, &diag), status, "%s", message);
    cr_expect(strstr(diag.message, message), "'%s' has no '%s'", diag.message, message);
    cr_expect_eq(gla_registry_count(r), status ? 0 : 1);
    gla_registry_free(r);
}

#define SPOIL(change, status, message)                                                             \
    do {                                                                                           \
        spoiled s;                                                                                 \
        copy(&s);                                                                                  \
        change;                                                                                    \
        expect(&s, status, message);                                                               \
    } while (0)

Test(registry, refuses_entries_by_the_first_wrong_field)
{
    SPOIL((void)0, GLA_OK, "");
    SPOIL(s.entry.magic = 1, GLA_E_ABI, "magic is 0x00000001");
    SPOIL(s.entry.struct_size = 8, GLA_E_ABI, "struct_size is 8");
    SPOIL(s.entry.abi_major = 2, GLA_E_ABI, "abi_major is 2, this program has 1");
    SPOIL(s.entry.pointer_bytes = 4, GLA_E_ABI, "pointer_bytes is 4");
    SPOIL(s.entry.max_dims = 4, GLA_E_ABI, "max_dims is 4");
    SPOIL(s.entry.tensor_size++, GLA_E_ABI, "tensor_size");
    SPOIL(s.entry.batch_size++, GLA_E_ABI, "batch_size");
    SPOIL(s.entry.math_size++, GLA_E_ABI, "math_size");
    SPOIL(s.entry.layer_desc_size++, GLA_E_ABI, "layer_desc_size");
    SPOIL((s.entry.abi_minor++, s.entry.math_size += 8), GLA_OK, "");
    SPOIL(s.entry.name = NULL, GLA_E_PLUGIN, "name is missing");
    SPOIL(s.entry.n_layers = 0, GLA_E_PLUGIN, "layers: 0 of them");
}

Test(registry, refuses_descriptors_by_the_first_wrong_field)
{
    SPOIL(s.layers[0] = NULL, GLA_E_PLUGIN, "layers[0] is NULL");
    SPOIL(s.desc.struct_size = 16, GLA_E_ABI, "layers[0]: struct_size is 16");
    SPOIL(s.desc.create = NULL, GLA_E_PLUGIN, "function create is missing");
    SPOIL(s.desc.destroy = NULL, GLA_E_PLUGIN, "function destroy is missing");
    SPOIL(s.desc.bind = NULL, GLA_E_PLUGIN, "function bind is missing");
    SPOIL(s.desc.forward = NULL, GLA_E_PLUGIN, "function forward is missing");
    SPOIL(s.desc.n_params = 1000, GLA_E_PLUGIN, "n_params is 1000");
    SPOIL(s.desc.params = NULL, GLA_E_PLUGIN, "n_params is 1");
}

Test(registry, refuses_type_ids_that_are_not_of_the_form)
{
    static const char *const ids[] = {
        "sum",         "sum/1",       "test.sum",        "test.sum/",  "test.sum/0",
        ".sum/1",      "test..sum/1", "test.sum/1x",     "Test.sum/1", "test.s m/1",
        "test.\xff/1", "test./1",     "test.sum/1234567"};

    SPOIL(s.desc.type_id = NULL, GLA_E_PLUGIN, "type_id ''");
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++)
        SPOIL(s.desc.type_id = ids[i], GLA_E_PLUGIN, "is not of the form");
}

Test(registry, refuses_parameter_tables_that_make_no_sense)
{
    static const char *const no_values[] = {NULL};

    SPOIL(s.params[0].name = "", GLA_E_PLUGIN, "param 0 has no name");
    SPOIL(s.params[0].kind = 99, GLA_E_PLUGIN, "param n: kind 99 is unknown");
    SPOIL(s.params[0].min = 5, GLA_E_PLUGIN, "param n: min 5 is above max 4");
    SPOIL(s.params[0].def = 9, GLA_E_PLUGIN, "param n: default 9 is not in [0, 4]");
    SPOIL(s.desc.n_params = 2, GLA_E_PLUGIN, "param n is there twice");
    SPOIL((s.params[0].kind = GLA_PARAM_ENUM), GLA_E_PLUGIN, "enum_values");
    SPOIL((s.params[0].kind = GLA_PARAM_ENUM, s.params[0].enum_values = no_values), GLA_E_PLUGIN,
          "enum_values");
}

/* ---- descriptors of other versions, and layers whose object the host owns ---- */

static gla_status make_nothing(gla_layer *l, const gla_layer_config *c)
{
    (void)l;
    (void)c;
    return GLA_OK;
}

static gla_status bind_nothing(gla_layer *l, const gla_tensor *weights)
{
    (void)l;
    (void)weights;
    return GLA_OK;
}

/* Into the same layer with layer_bytes. */
static void to_hosted(spoiled *s)
{
    s->desc.create = NULL;
    s->desc.destroy = NULL;
    s->desc.bind = NULL;
    s->desc.make = make_nothing;
    s->desc.layer_bytes = 64;
}

Test(registry, a_layer_owns_its_object_or_leaves_it_to_the_host)
{
    SPOIL(to_hosted(&s), GLA_OK, "");
    SPOIL((to_hosted(&s), s.desc.layer_bytes = 0), GLA_E_PLUGIN, "layer_bytes is 0, 8 to 1048576");
    SPOIL((to_hosted(&s), s.desc.layer_bytes = 7), GLA_E_PLUGIN, "layer_bytes is 7");
    SPOIL((to_hosted(&s), s.desc.layer_bytes = SIZE_MAX), GLA_E_PLUGIN, "layer_bytes is");
    SPOIL((to_hosted(&s), s.desc.layer_bytes = (1 << 20) + 1), GLA_E_PLUGIN,
          "layer_bytes is 1048577");
    SPOIL((to_hosted(&s), s.desc.make = NULL), GLA_E_PLUGIN, "function make is missing");
    SPOIL((to_hosted(&s), s.desc.forward = NULL), GLA_E_PLUGIN, "function forward is missing");
    SPOIL(s.desc.layer_bytes = 64, GLA_E_PLUGIN,
          "function create does not go with layer_bytes: the host owns the object");
    SPOIL((to_hosted(&s), s.desc.bind = bind_nothing), GLA_E_PLUGIN,
          "function bind does not go with layer_bytes");
}

Test(registry, sizes_shorter_than_those_of_version_1_0_are_refused)
{
    SPOIL(s.desc.struct_size = 87, GLA_E_ABI, "layers[0]: struct_size is 87, version 1.0 has 88");
    SPOIL(s.desc.param_size = 48, GLA_E_ABI, "param_size is 48, version 1.0 has 56");
    SPOIL(s.desc.value_size = 24, GLA_E_ABI, "value_size is 24, version 1.0 has 32");
    SPOIL(s.desc.tensor_size = 80, GLA_E_ABI, "tensor_size is 80, version 1.0 has 88");
    SPOIL((s.entry.abi_minor++, s.entry.tensor_size = 80), GLA_E_ABI, "tensor_size is 80");
}

/* What stands in the registry is ours: as long as ours, with both tables in one. */
static const gla_layer_desc *added(spoiled *s, gla_registry **r)
{
    gla_diag diag;

    cr_assert_eq(gla__registry_create_empty(NULL, r, NULL), GLA_OK);
    cr_assert_eq(gla__registry_add(*r, &s->entry, &diag), GLA_OK, "%s", diag.message);
    return gla_registry_get(*r, 0);
}

Test(registry, of_a_shorter_descriptor_the_rest_is_zero)
{
    const gla_layer_desc *d;
    gla_registry *r;
    spoiled s;

    copy(&s);
    s.desc.struct_size = (uint32_t)offsetof(gla_layer_desc, layer_bytes);
    s.desc.param_size = s.desc.value_size = s.desc.tensor_size = 0;
    s.desc.layer_bytes = 12345; /* behind its end */
    s.desc.more = s.params;
    s.desc.n_more = 77;
    d = added(&s, &r);
    cr_expect_eq(d->struct_size, sizeof(*d));
    cr_expect_eq(d->layer_bytes, 0);
    cr_expect_eq(d->n_params, 1);
    cr_expect_eq(d->param_size, sizeof(gla_param_desc));
    cr_expect_eq(d->value_size, 32);
    cr_expect_eq(d->tensor_size, s.entry.tensor_size);
    gla_registry_free(r);
}

typedef struct later_param {
    gla_param_desc param;
    uint64_t grown[2];
} later_param;

Test(registry, of_a_longer_descriptor_we_take_what_we_know)
{
    later_param own[] = {{GLA_P_INT("a", 1, 0, 4, ""), {1, 2}},
                         {GLA_P_INT("b", 2, 0, 4, ""), {3, 4}}};
    const later_param more[] = {{GLA_P_INT("c", 3, 0, 4, ""), {5, 6}},
                                {GLA_P_BOOL("d", 1, ""), {7, 8}}};
    struct {
        gla_layer_desc desc;
        uint64_t grown[2];
    } later;
    const gla_layer_desc *d;
    gla_registry *r;
    spoiled s;

    copy(&s);
    later.desc = s.desc;
    later.grown[0] = later.grown[1] = UINT64_MAX;
    later.desc.struct_size = sizeof(later);
    later.desc.params = &own[0].param;
    later.desc.n_params = 2;
    later.desc.more = &more[0].param;
    later.desc.n_more = 2;
    later.desc.param_size = sizeof(later_param);
    later.desc.value_size = sizeof(gla_param_value) + 16;
    s.layers[0] = &later.desc;
    s.entry.abi_minor++;
    d = added(&s, &r);
    cr_expect_eq(d->struct_size, sizeof(*d));
    cr_assert_eq(d->n_params, 4);
    cr_expect_eq(d->n_more, 0);
    cr_expect_null(d->more);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(d->params[i].name[0], "abcd"[i], "%s", d->params[i].name);
    cr_expect_eq(d->value_size, sizeof(gla_param_value) + 16);
    own[0].param.name = "changed"; /* names are the plugin's, tables are copies */
    cr_expect_str_eq(d->params[0].name, "a");
    gla_registry_free(r);
}

Test(registry, further_parameters_are_checked_as_the_own_ones)
{
    static const gla_param_desc twice[] = {GLA_P_BOOL("x", 1, ""), GLA_P_BOOL("n", 1, "")};
    static const gla_param_desc bad[] = {GLA_P_INT("y", 9, 0, 4, "")};

    SPOIL((s.desc.more = twice, s.desc.n_more = 2), GLA_E_PLUGIN, "param n is there twice");
    SPOIL((s.desc.more = bad, s.desc.n_more = 1), GLA_E_PLUGIN,
          "param y: default 9 is not in [0, 4]");
    SPOIL((s.desc.more = NULL, s.desc.n_more = 1), GLA_E_PLUGIN, "n_params is 2");
    SPOIL((s.desc.more = twice, s.desc.n_more = 256), GLA_E_PLUGIN, "n_params is 257");
    SPOIL((s.desc.more = twice, s.desc.n_more = UINT32_MAX), GLA_E_PLUGIN,
          "n_params is 4294967296");
}

/* ---- init() and deinit() ---- */

static int n_init, n_deinit;

static gla_status count_init(const gla_host *host)
{
    n_init++;
    return host->get_extension(host, GLA_HOST_MATH_ID) ? GLA_OK : GLA_E_PLUGIN;
}

static void count_deinit(void)
{
    n_deinit++;
}

static gla_status failing_init(const gla_host *host)
{
    return gla_host_fail(host, GLA_E_UNSUPPORTED, "no licence dongle");
}

Test(registry, starts_a_plugin_once_and_ends_it_with_its_last_registry)
{
    gla_registry *first, *second;
    spoiled s;

    copy(&s);
    s.entry.init = count_init;
    s.entry.deinit = count_deinit;
    for (int round = 1; round <= 2; round++) {
        cr_assert_eq(gla__registry_create_empty(NULL, &first, NULL), GLA_OK);
        cr_assert_eq(gla__registry_create_empty(NULL, &second, NULL), GLA_OK);
        cr_assert_eq(gla__registry_add(first, &s.entry, NULL), GLA_OK);
        cr_assert_eq(gla__registry_add(second, &s.entry, NULL), GLA_OK);
        cr_assert_eq(gla__registry_add(second, &s.entry, NULL), GLA_OK);
        gla_registry_free(second);
        cr_expect_eq(n_deinit, round - 1);
        gla_registry_free(first);
        cr_expect_eq(n_init, round);
        cr_expect_eq(n_deinit, round);
    }
    s.desc.forward = NULL; /* refused after it was started: ended too */
    expect(&s, GLA_E_PLUGIN, "function forward is missing");
    cr_expect_eq(n_init, 3);
    cr_expect_eq(n_deinit, 3);
}

Test(registry, init_may_refuse_and_say_why)
{
    SPOIL(s.entry.init = failing_init, GLA_E_UNSUPPORTED, "no licence dongle");
}

static char logged[256];

static void keep_log(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    strncpy(logged, msg, sizeof(logged) - 1);
}

Test(registry, the_first_of_two_equal_types_stays)
{
    gla_registry *r = toy_registry();
    const gla_layer_desc *first = gla_registry_find(r, "test.sum");
    const uint32_t n = gla_registry_count(r);
    spoiled s;

    copy(&s);
    gla_set_log(keep_log, NULL, GLA_LOG_WARN);
    cr_assert_eq(gla__registry_add(r, &s.entry, NULL), GLA_OK);
    gla_set_log(NULL, NULL, 0);
    cr_expect_eq(gla_registry_find(r, "test.sum"), first);
    cr_expect_eq(gla_registry_count(r), n);
    cr_expect(strstr(logged, "test.sum/1 exists already"), "%s", logged);
    gla_registry_free(r);
}
