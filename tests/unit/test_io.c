/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "support/temp_file.h"

static mode_t mode_of(const char *path)
{
    struct stat st;

    cr_assert_eq(lstat(path, &st), 0);
    return st.st_mode;
}

static void expect_text(const char *path, const char *text)
{
    char *data;
    size_t size;

    cr_assert_eq(gla__read_all(path, 100, &data, &size, NULL), GLA_OK);
    cr_expect_str_eq(data, text);
    gla__free(data);
}

/* Somebody made the file private: what replaces it is not less so. */
Test(io, keeps_the_mode_of_what_it_replaces)
{
    char path[TEMP_PATH];

    temp_path(path, "io-mode");
    unlink(path);
    cr_assert_eq(gla__write_all(path, "old", 3, NULL), GLA_OK);
    chmod(path, 0600);
    cr_assert_eq(gla__write_all(path, "new", 3, NULL), GLA_OK);
    cr_expect_eq(mode_of(path) & 07777, 0600);
    expect_text(path, "new");
    unlink(path);
}

/* ---- two folders change places, by renames that fail ---- */

static unsigned renames, failing; /* failing: a bit for each of them, the first is bit 0 */

static int no_exchange(const char *a, const char *b)
{
    (void)a, (void)b;
    errno = ENOSYS;
    return -1;
}

static int failing_rename(const char *from, const char *to)
{
    if (failing >> renames++ & 1) {
        errno = EXDEV;
        return -1;
    }
    return rename(from, to);
}

/* After b -> a.old, a -> b, a.old -> a, or as many of them as work. */
Test(io, folders_change_places_or_stay_where_they_were)
{
    static const struct {
        unsigned failing, renames;
        const char *a, *b, *old; /* what is there in the end */
    } cases[] = {{0x0, 3, "B", "A", NULL}, {0x1, 1, "A", "B", NULL}, {0x2, 3, "A", "B", NULL},
                 {0x4, 5, "A", "B", NULL}, {0x6, 3, "A", NULL, "B"}, {0xc, 4, NULL, "A", "B"},
                 {0x14, 5, "A", NULL, "B"}};
    gla__io io = gla__io_get();
    char a[TEMP_PATH], b[TEMP_PATH], old[TEMP_PATH + 4];

    io.exchange = no_exchange;
    io.rename = failing_rename;
    snprintf(old, sizeof(old), "%s.old", temp_path(a, "io-a"));
    temp_path(b, "io-b");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *names[] = {a, b, old}, *wanted[] = {cases[i].a, cases[i].b, cases[i].old};
        gla_diag diag;
        gla_status st;

        cr_assert_eq(gla__write_all(a, "A", 1, NULL), GLA_OK);
        cr_assert_eq(gla__write_all(b, "B", 1, NULL), GLA_OK);
        failing = cases[i].failing;
        renames = 0;
        gla__io_set(&io);
        st = gla__exchange_dirs(a, b, &diag);
        gla__io_set(NULL);
        cr_expect_eq(renames, cases[i].renames);
        cr_expect_eq(st, failing ? GLA_E_IO : GLA_OK);
        cr_expect(!st || strstr(diag.message, strerror(EXDEV)), "%s", diag.message);
        cr_expect(!wanted[2] || strstr(diag.hint, old), "%s", diag.hint);
        for (int k = 0; k < 3; k++) {
            cr_expect_eq(gla__exists(names[k]), wanted[k] != NULL, "%zu: %s", i, names[k]);
            if (wanted[k] && gla__exists(names[k]))
                expect_text(names[k], wanted[k]);
            unlink(names[k]);
        }
    }
}

Test(io, writes_where_a_link_leads)
{
    char path[TEMP_PATH], link[TEMP_PATH];
    gla_diag diag;

    temp_path(path, "io-target");
    temp_path(link, "io-link");
    unlink(link);
    unlink(path);
    cr_assert_eq(symlink(path, link), 0);
    cr_expect_eq(gla__write_all(link, "x", 1, &diag), GLA_E_IO, "the link leads nowhere yet");
    cr_expect(strstr(diag.message, "where this link leads"), "%s", diag.message);
    cr_assert_eq(gla__write_all(path, "old", 3, NULL), GLA_OK);
    cr_assert_eq(gla__write_all(link, "new", 3, NULL), GLA_OK);
    cr_expect(S_ISLNK(mode_of(link)));
    expect_text(path, "new");
    unlink(link);
    unlink(path);
}

/* Renaming would have put a file in the place of /dev/null. */
Test(io, takes_the_place_of_regular_files_only)
{
    char path[TEMP_PATH];
    gla_diag diag;

    temp_path(path, "io-pipe");
    unlink(path);
    cr_assert_eq(mkfifo(path, 0666), 0);
    cr_expect_eq(gla__write_all(path, "x", 1, &diag), GLA_E_IO);
    cr_expect(strstr(diag.message, "not a regular file"), "%s", diag.message);
    cr_expect(S_ISFIFO(mode_of(path)));
    unlink(path);
}
