/* SPDX-License-Identifier: Apache-2.0 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/toy_layers.h"
#include "support/temp_file.h"

#define PLUGIN(name) GLA_BINARY_DIR "/tests/plugins/" name ".so"

static gla_registry *registry(void)
{
    gla_registry *r;

    cr_assert_eq(gla_registry_create(NULL, &r, NULL), GLA_OK);
    return r;
}

Test(plugin, every_refusal_names_what_is_wrong)
{
    static const struct {
        const char *path;
        gla_status status;
        const char *message;
    } cases[] = {
        {PLUGIN("plugin_wrong_magic"), GLA_E_ABI, "magic is 0x00000007, a plugin has 0x50414c47"},
        {PLUGIN("plugin_short_struct"), GLA_E_ABI, "struct_size is 16"},
        {PLUGIN("plugin_next_major"), GLA_E_ABI, "abi_major is 2, this program has 1"},
        {PLUGIN("plugin_bad_sizes"), GLA_E_ABI, "batch_size is 8"},
        {PLUGIN("plugin_short_desc"), GLA_E_ABI, "layers[0]: struct_size is 24"},
        {PLUGIN("plugin_null_fn"), GLA_E_PLUGIN, "function forward is missing"},
        {PLUGIN("plugin_bad_type_id"), GLA_E_PLUGIN, "type_id 'Plugin' is not of the form"},
        {PLUGIN("plugin_init_fails"), GLA_E_UNSUPPORTED, "not on a Sunday"},
        {PLUGIN("plugin_no_entry"), GLA_E_ABI, "has no symbol gla_plugin_entry_v1"},
        {PLUGIN("plugin_nowhere"), GLA_E_IO, "cannot open"},
        {"plugin_good.so", GLA_E_INVALID, "a path with a slash is needed"},
        {GLA_BINARY_DIR "/", GLA_E_PLUGIN, "not a regular file"},
    };
    gla_registry *r = registry();
    const uint32_t n = gla_registry_count(r);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        gla_diag diag = {0};

        cr_expect_eq(gla_registry_load(r, cases[i].path, &diag), cases[i].status, "%s: %s",
                     cases[i].path, diag.message);
        cr_expect(strstr(diag.message, cases[i].message), "%s: %s", cases[i].path, diag.message);
        cr_expect(strstr(diag.where, cases[i].path), "%s", diag.where);
    }
    cr_expect_eq(gla_registry_count(r), n);
    gla_registry_free(r);
}

Test(plugin, a_good_one_and_one_of_the_next_minor_are_accepted)
{
    gla_registry *r = registry();
    gla_diag diag = {0};

    cr_assert_eq(gla_registry_load(r, PLUGIN("plugin_good"), &diag), GLA_OK, "%s", diag.message);
    cr_expect_not_null(gla_registry_find(r, "test.plugin"));
    cr_assert_eq(gla_registry_load(r, PLUGIN("plugin_next_minor"), &diag), GLA_OK, "%s",
                 diag.message);
    cr_expect_not_null(gla_registry_find(r, "test.next_minor"));
    gla_registry_free(r);
}

Test(plugin, a_second_registry_loads_the_same_file_again)
{
    gla_registry *a = registry(), *b = registry();

    cr_assert_eq(gla_registry_load(a, PLUGIN("plugin_good"), NULL), GLA_OK);
    cr_assert_eq(gla_registry_load(b, PLUGIN("plugin_good"), NULL), GLA_OK);
    cr_expect_eq(gla_registry_find(a, "test.plugin")->forward,
                 gla_registry_find(b, "test.plugin")->forward);
    gla_registry_free(a);
    gla_registry_free(b);
}

Test(plugin, an_existing_type_is_not_replaced)
{
    gla_registry *r = registry();
    const gla_layer_desc *gla = gla_registry_find(r, "gla");

    cr_assert_eq(gla_registry_load(r, PLUGIN("plugin_duplicate_id"), NULL), GLA_OK);
    cr_expect_eq(gla_registry_find(r, "gla"), gla);
    gla_registry_free(r);
}

/* A copy of a plugin with this mode. */
static const char *copy_plugin(char path[TEMP_PATH], const char *name, mode_t mode)
{
    size_t n;
    uint8_t *data = read_file(PLUGIN("plugin_good"), &n);

    cr_assert_not_null(data);
    cr_assert(write_file(temp_path(path, name), data, n));
    free(data);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

Test(plugin, a_file_that_others_may_write_is_refused)
{
    gla_registry *r = registry();
    char path[TEMP_PATH];
    gla_diag diag = {0};

    copy_plugin(path, "writable.so", 0775);
    cr_expect_eq(gla_registry_load(r, path, &diag), GLA_E_PLUGIN);
    cr_expect_str_eq(diag.message, "mode 0775: others may write to it");
    cr_assert_eq(chmod(path, 0755), 0);
    cr_expect_eq(gla_registry_load(r, path, &diag), GLA_OK, "%s", diag.message);
    unlink(path);
    gla_registry_free(r);
}

static char logged[2048];

static void keep_log(void *ctx, int32_t level, const char *msg)
{
    (void)ctx;
    (void)level;
    strncat(logged, msg, sizeof(logged) - strlen(logged) - 1);
}

Test(plugin, the_search_path_takes_folders_and_files_and_skips_the_bad)
{
    gla_registry *r = registry();

    gla_set_log(keep_log, NULL, GLA_LOG_WARN);
    setenv("GLA_PLUGIN_PATH", GLA_BINARY_DIR "/tests/plugins::/no/such/file.so", 1);
    cr_assert_eq(gla_registry_load_path(r, NULL), GLA_OK);
    gla_set_log(NULL, NULL, 0);
    cr_expect_not_null(gla_registry_find(r, "test.plugin"));
    cr_expect_not_null(gla_registry_find(r, "test.next_minor"));
    cr_expect(strstr(logged, "plugin_null_fn.so: misbehaving: test.plugin/1: function forward"),
              "%s", logged);
    cr_expect(strstr(logged, "/no/such/file.so: cannot open"), "%s", logged);
    gla_registry_free(r);
}
