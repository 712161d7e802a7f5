/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <criterion/criterion.h>
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
