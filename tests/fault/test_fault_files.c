/* SPDX-License-Identifier: Apache-2.0
 *
 * test_fault_files.c - memory runs out at every single point of reading safetensors, gguf and
 * configs, and of writing safetensors
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "base/alloc.h"
#include "base/io.h"
#include "formats/import/config.h"
#include "formats/weights/gguf.h"
#include "formats/weights/glaw.h"
#include "formats/weights/safetensors.h"
#include "support/failing_memory.h"
#include "support/gguf_writer.h"
#include "support/temp_file.h"

#define DATA GLA_SOURCE_DIR "/tests/data/gguf/"

/* Every tensor of a file; what they are is for others to test. */
static gla_status read_all(void *ctx, gla_diag *diag)
{
    gla_weights *w;
    gla_status st = gla_weights_open(ctx, NULL, &w, diag);

    for (uint32_t i = 0; !st && i < gla_weights_count(w); i++) {
        const gla_tensor_info *info = gla_weights_info(w, i);
        void *dst = malloc((size_t)info->raw_bytes + 1);

        st = gla_weights_read(w, info, dst, diag);
        free(dst);
    }
    gla_weights_free(w);
    return st;
}

static void every_allocation(const char *name, gla_status (*act)(void *, gla_diag *), void *ctx,
                             long at_least)
{
    gla_set_threads(1); /* the order of allocations is the same each time */
    memory_take_over();
    cr_expect_geq(memory_every(name, act, ctx), at_least, "%s", name);
    cr_expect_eq(memory_live(), 0);
    memory_give_back();
}

/* ---- gguf ---- */

Test(fault_files, reading_gguf_in_blocks)
{
    char path[TEMP_PATH];
    gguf_out o = {0};

    gguf_load(&o, DATA "qwen3.gguf", NULL);
    gguf_retype(gguf_find(&o, "token_embd.weight"), GGUF_Q8_0);
    gguf_write(&o, temp_path(path, "blocks.gguf"));
    every_allocation("gguf in blocks", read_all, path, 60);
    unlink(path);
    gguf_free(&o);
}

Test(fault_files, reading_gguf_in_parts)
{
    char paths[2][TEMP_PATH];

    for (uint32_t i = 0; i < 2; i++) {
        gguf_out o = {0};
        char name[64];

        snprintf(name, sizeof(name), "fault-%05u-of-00002.gguf", i + 1);
        gguf_put_u32(&o, "split.no", i);
        gguf_put_u32(&o, "split.count", 2);
        gguf_add(&o, i ? "b" : "a", 0, 4);
        gguf_write(&o, temp_path(paths[i], name));
        gguf_free(&o);
    }
    every_allocation("gguf in parts", read_all, paths[0], 20);
    unlink(paths[0]);
    unlink(paths[1]);
}

/* ---- safetensors ---- */

enum { LONG = 9 << 20 }; /* read in several pieces */

static gla_status write_safetensors(void *ctx, gla_diag *diag)
{
    static const char header[] =
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[9437184],\"data_offsets\":[0,9437184]}}";
    static uint8_t data[LONG];
    gla__st_writer *w;
    gla_status st = gla__safetensors_create(ctx, header, sizeof(header) - 1, &w, diag);

    if (!st)
        st = gla__safetensors_write_at(w, 0, data, sizeof(data), diag);
    if (!st)
        st = gla__safetensors_finish(w, diag);
    gla__safetensors_close(&w);
    return st;
}

Test(fault_files, a_long_tensor_of_safetensors)
{
    char path[TEMP_PATH];

    temp_path(path, "long.safetensors");
    every_allocation("writing safetensors", write_safetensors, path, 8);
    every_allocation("reading safetensors", read_all, path, 12);
    unlink(path);
}

Test(fault_files, safetensors_in_parts)
{
    static const char header[] = "{\"%c\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    static const char index[] =
        "{\"weight_map\":{\"a\":\"a.safetensors\",\"b\":\"b.safetensors\"}}";
    char folder[] = "/tmp/gla-test-XXXXXX", path[64];

    cr_assert_not_null(mkdtemp(folder));
    for (int c = 'a'; c <= 'b'; c++) {
        char text[96];
        uint8_t file[128] = {0};
        const int n = snprintf(text, sizeof(text), header, c);

        file[0] = (uint8_t)n;
        memcpy(file + 8, text, (size_t)n);
        snprintf(path, sizeof(path), "%s/%c.safetensors", folder, c);
        cr_assert(write_file(path, file, 8 + (size_t)n + 1));
    }
    snprintf(path, sizeof(path), "%s/model.safetensors.index.json", folder);
    cr_assert(write_file(path, index, sizeof(index) - 1));
    every_allocation("safetensors in parts", read_all, folder, 20);
    unlink(path);
    for (int c = 'a'; c <= 'b'; c++) {
        snprintf(path, sizeof(path), "%s/%c.safetensors", folder, c);
        unlink(path);
    }
    rmdir(folder);
}

/* ---- glaw ---- */

/* A batch of the writer is full in the middle of a tensor, and cannot be written. */
Test(fault_files, a_full_batch_of_glaw)
{
    static const size_t size = 17 << 20;
    const gla__glaw_tensor t = {"a", GLA_DTYPE_U8, 1, {17 << 20}, NULL, 0};
    uint8_t *data = calloc(1, size);
    char path[TEMP_PATH];
    gla__glaw_writer *w;
    gla_diag diag;

    memory_take_over();
    cr_assert_eq(gla__glaw_create(temp_path(path, "full.glaw"), 0, &w, &diag), GLA_OK);
    cr_assert_eq(gla__glaw_begin(w, &t, &diag), GLA_OK);
    memory_arm(1, true);
    cr_expect_eq(gla__glaw_write(w, data, size, &diag), GLA_E_NOMEM, "%s", diag.message);
    memory_disarm();
    gla__glaw_close(&w);
    cr_expect_eq(memory_live(), 0);
    cr_expect_neq(access(path, F_OK), 0, "half a file is left");
    memory_give_back();
    free(data);
}

/* ---- a disk that fails after the file was opened ---- */

static ssize_t no_pread(int fd, void *buf, size_t n, off_t offset)
{
    (void)fd;
    (void)buf;
    (void)n;
    (void)offset;
    errno = EIO;
    return -1;
}

/* The first tensor cannot be read, which names it; the hash is made of what can. */
static void expect_unreadable(const char *path)
{
    gla__io io = gla__io_get();
    gla_diag diag = {0};
    gla_weights *w;
    uint64_t hash;
    void *dst;

    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK, "%s", diag.message);
    dst = malloc((size_t)gla_weights_info(w, 0)->raw_bytes);
    hash = gla_weights_hash(w);
    cr_expect_eq(gla_weights_hash(w), hash);
    io.pread = no_pread;
    gla__io_set(&io);
    cr_expect_eq(gla_weights_read(w, gla_weights_info(w, 0), dst, &diag), GLA_E_IO, "%s", path);
    cr_expect(strstr(diag.where, gla_weights_info(w, 0)->name), "%s", diag.where);
    cr_expect_neq(gla_weights_hash(w), hash);
    gla__io_set(NULL);
    cr_expect_eq(gla_weights_read(w, gla_weights_info(w, 0), dst, NULL), GLA_OK);
    free(dst);
    gla_weights_free(w);
}

Test(fault_files, tensors_that_cannot_be_read_are_named)
{
    char path[TEMP_PATH];
    gguf_out o = {0};
    gla_diag diag;

    gla_set_threads(1);
    gguf_retype(gguf_add(&o, "a", 4, 64), GGUF_Q8_0);
    gguf_write(&o, temp_path(path, "unread.gguf"));
    gguf_free(&o);
    expect_unreadable(path);
    unlink(path);
    temp_path(path, "unread.safetensors");
    cr_assert_eq(write_safetensors(path, &diag), GLA_OK, "%s", diag.message);
    expect_unreadable(path);
    unlink(path);
}

Test(fault_files, a_tensor_of_another_file_is_none_of_this)
{
    char path[TEMP_PATH], other[TEMP_PATH], byte[4];
    gguf_out o = {0};
    gla_weights *w, *v;
    gla_diag diag;

    gguf_add(&o, "a", 0, 1);
    gguf_write(&o, temp_path(path, "one.gguf"));
    gguf_write(&o, temp_path(other, "two.gguf"));
    gguf_free(&o);
    cr_assert_eq(gla_weights_open(path, NULL, &w, &diag), GLA_OK);
    cr_assert_eq(gla_weights_open(other, NULL, &v, &diag), GLA_OK);
    cr_expect_eq(gla_weights_read(w, gla_weights_info(v, 0), byte, &diag), GLA_E_INVALID);
    cr_expect(strstr(diag.message, "tensor a is not of this file"), "%s", diag.message);
    cr_expect_null(gla_weights_info(w, 1));
    gla_weights_free(w);
    gla_weights_free(v);
    unlink(path);
    unlink(other);
}

/* ---- lists of gguf ---- */

static gla_status read_texts(void *ctx, gla_diag *diag)
{
    gla__gguf_text *list = NULL;
    gla_weights *w;
    uint64_t n;
    gla_status st = gla_weights_open(ctx, NULL, &w, diag);

    if (!st)
        st = gla__gguf_strings(w, "list", &list, &n, diag);
    gla__free(list);
    gla_weights_free(w);
    return st;
}

Test(fault_files, reading_lists_of_gguf)
{
    static const char *const list[] = {"a", "b"};
    char path[TEMP_PATH];
    gguf_out o = {0};

    gguf_put_texts(&o, "list", list, 2);
    gguf_write(&o, temp_path(path, "list.gguf"));
    gguf_free(&o);
    every_allocation("lists of gguf", read_texts, path, 10);
    unlink(path);
}

/* ---- config.json ---- */

/* Remembering which keys were read takes memory of jansson's. */
Test(fault_files, a_config_that_cannot_remember)
{
    static const char json[] = "{\"a\": 1, \"b\": 2}";
    gla__config *c;
    gla_diag diag;
    long n;

    for (n = 1;; n++) {
        gla_status st;

        cr_assert_eq(gla__config_parse(json, sizeof(json) - 1, "config.json", &c, NULL), GLA_OK);
        memory_take_over_jansson();
        memory_arm(n, false);
        gla__config_has(c, "a");
        gla__config_has(c, "b");
        memory_disarm();
        memory_give_back_jansson();
        st = gla__config_status(c, &diag);
        gla__config_free(c);
        if (!memory_failed())
            break;
        cr_expect_eq(st, GLA_E_NOMEM, "allocation %ld", n);
    }
    cr_expect_gt(n, 2);
}
