/* SPDX-License-Identifier: Apache-2.0
 *
 * model_folder.h - a published checkpoint converted into a temporary model folder
 */
#ifndef GLA_TESTS_MODEL_FOLDER_H
#define GLA_TESTS_MODEL_FOLDER_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <gla/gla.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Converts source; folder receives the path. */
static inline void model_folder_make(const char *source, const gla_convert_options *options,
                                     char folder[64])
{
    gla_diag diag;

    strcpy(folder, "/tmp/gla-test-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(gla_convert(source, folder, options, NULL, 0, &diag), GLA_OK, "%s: %s: %s", source,
                 diag.where, diag.message);
}

static inline void model_folder_remove(const char *folder)
{
    DIR *d = opendir(folder);

    for (struct dirent *e; d && (e = readdir(d));) {
        char path[512];

        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

#endif
