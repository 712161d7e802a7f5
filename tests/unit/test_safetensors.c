/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/weights/safetensors.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <string.h>

#include "support/temp_file.h"

#define OK(call) cr_assert_eq((call), GLA_OK, "%s: %s: %s", #call, diag.where, diag.message)

static gla_diag diag;

static void write_safetensors(const char *path, const char *header, const char *data)
{
    const size_t n = strlen(header);
    uint8_t bytes[1024] = {(uint8_t)n, (uint8_t)(n >> 8)};

    memcpy(bytes + 8, header, n);
    memcpy(bytes + 8 + n, data, strlen(data));
    cr_assert(write_file(path, bytes, 8 + n + strlen(data)));
}

static const char two[] =
    "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_"
    "offsets\":"
    "[0,6]},\"a\":{\"dtype\":\"BF16\",\"shape\":[],\"data_offsets\":[6,8]}}  ";

Test(safetensors, reads_tensors_and_keeps_the_header)
{
    char path[TEMP_PATH], bytes[8] = {0};
    const char *header;
    size_t size;
    gla_weights *w;

    write_safetensors(temp_path(path, "x.safetensors"), two, "abcdefgh");
    OK(gla_weights_open(path, NULL, &w, &diag));
    cr_assert_eq(gla_weights_count(w), 2);
    cr_assert_str_eq(gla_weights_info(w, 0)->name, "a");
    cr_assert_eq(gla_weights_info(w, 0)->dtype, GLA_DTYPE_BF16);
    cr_assert_eq(gla_weights_info(w, 0)->n_elements, 1);
    OK(gla_weights_read(w, gla_weights_info(w, 0), bytes, &diag));
    cr_assert(!memcmp(bytes, "gh", 2));
    OK(gla_weights_read(w, gla_weights_find(w, "b"), bytes, &diag));
    cr_assert(!memcmp(bytes, "abcdef", 6));
    OK(gla__safetensors_read_range(w, gla_weights_find(w, "b"), 2, 3, bytes, &diag));
    cr_assert(!memcmp(bytes, "cde", 3));
    cr_assert_eq(gla__safetensors_read_range(w, gla_weights_find(w, "b"), 4, 3, bytes, &diag),
                 GLA_E_INVALID);
    cr_assert_eq(
        gla__safetensors_read_range(w, gla_weights_find(w, "b"), UINT64_MAX, 3, bytes, &diag),
        GLA_E_INVALID);
    OK(gla__safetensors_read_range(w, gla_weights_find(w, "b"), 6, 0, NULL, &diag));
    cr_assert_eq(gla__safetensors_n_files(w), 1);
    cr_assert(strstr(gla__safetensors_file(w, 0, &header, &size), "x.safetensors"));
    cr_assert_str_eq(header, two);
    cr_assert_eq(size, sizeof(two) - 1);
    gla_weights_free(w);
    unlink(path);
}

Test(safetensors, writes_back_the_same_file)
{
    char path[TEMP_PATH], copy[TEMP_PATH];
    gla__st_writer *out;
    uint8_t *x, *y;
    size_t nx, ny;

    write_safetensors(temp_path(path, "from.safetensors"), two, "abcdefgh");
    OK(gla__safetensors_create(temp_path(copy, "to.safetensors"), two, sizeof(two) - 1, &out,
                               &diag));
    OK(gla__safetensors_write_at(out, 6, "gh", 2, &diag));
    cr_assert_eq(gla__safetensors_finish(out, &diag), GLA_E_INVALID);
    cr_assert_eq(gla__safetensors_write_at(out, 6, "ghi", 3, &diag), GLA_E_INVALID);
    cr_assert_eq(gla__safetensors_write_at(out, UINT64_MAX, "gh", 2, &diag), GLA_E_INVALID);
    OK(gla__safetensors_write_at(out, 0, "abcdef", 6, &diag));
    OK(gla__safetensors_finish(out, &diag));
    gla__safetensors_close(&out);
    x = read_file(path, &nx);
    y = read_file(copy, &ny);
    cr_assert_eq(nx, ny);
    cr_assert(!memcmp(x, y, nx));
    free(x);
    free(y);
    unlink(path);
    unlink(copy);
}

Test(safetensors, reads_a_sharded_checkpoint_as_one)
{
    char folder[TEMP_PATH], path[TEMP_PATH + 64], byte[1];
    static const char index[] =
        "{\"metadata\":{\"total_size\":2},\"weight_map\":{\"x\":\"b.safetensors\","
        "\"y\":\"a.safetensors\"}}";
    gla_weights *w;
    const char *header;
    size_t size;

    mkdir(temp_path(folder, "sharded"), 0777);
    snprintf(path, sizeof(path), "%s/b.safetensors", folder);
    write_safetensors(path, "{\"x\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "X");
    snprintf(path, sizeof(path), "%s/a.safetensors", folder);
    write_safetensors(path, "{\"y\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", "Y");
    snprintf(path, sizeof(path), "%s/model.safetensors.index.json", folder);
    cr_assert(write_file(path, index, strlen(index)));
    OK(gla_weights_open(folder, NULL, &w, &diag));
    cr_assert_eq(gla_weights_count(w), 2);
    OK(gla_weights_read(w, gla_weights_find(w, "x"), byte, &diag));
    cr_assert_eq(byte[0], 'X');
    OK(gla_weights_read(w, gla_weights_find(w, "y"), byte, &diag));
    cr_assert_eq(byte[0], 'Y');
    cr_assert_eq(gla__safetensors_n_files(w), 2);
    cr_assert_str_eq(gla__safetensors_file(w, 0, &header, &size), "a.safetensors");
    gla_weights_free(w);
    unlink(path);
    snprintf(path, sizeof(path), "%s/a.safetensors", folder);
    unlink(path);
    snprintf(path, sizeof(path), "%s/b.safetensors", folder);
    unlink(path);
    rmdir(folder);
}
