/* SPDX-License-Identifier: Apache-2.0
 *
 * The checkpoints of tests/reference, converted and compared with the logits their authors' code
 * gave: all at once, in pieces and token by token, with the recurrences in each of their forms.
 */
#include <criterion/parameterized.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/golden.h"
#include "support/model_folder.h"
#include "support/tolerance.h"

struct reference_case {
    char name[64];
};

ParameterizedTestParameters(reference, agrees_with_its_authors)
{
    static struct reference_case cases[128];
    struct dirent **names = NULL;
    const int n = scandir(GLA_SOURCE_DIR "/tests/reference", &names, NULL, alphasort);
    size_t used = 0;

    for (int i = 0; i < n; i++) {
        char path[512];

        snprintf(path, sizeof(path), "%s/tests/reference/%s/golden.safetensors", GLA_SOURCE_DIR,
                 names[i]->d_name);
        if (used < 128 && strlen(names[i]->d_name) < sizeof(cases[0].name) &&
            access(path, R_OK) == 0)
            strcpy(cases[used++].name, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return cr_make_param_array(struct reference_case, cases, used);
}

ParameterizedTest(struct reference_case *c, reference, agrees_with_its_authors)
{
    static const uint32_t chunks[] = {0, 1, 16};
    const size_t feeds[] = {100000, 7, 1};
    char source[512], path[600], folder[64];
    golden g;
    double bound;

    snprintf(source, sizeof(source), "%s/tests/reference/%s", GLA_SOURCE_DIR, c->name);
    snprintf(path, sizeof(path), "%s/golden.safetensors", source);
    g = golden_read(path);
    /* hgrn2: the reference itself was rounded */
    bound = strncmp(c->name, "hgrn2", 5) == 0 ? 5e-3 : GLA_TOL_LOGITS;
    bound *= g.spread > 1.5 ? g.spread : 1;
    model_folder_make(source, NULL, folder);
    for (size_t i = 0; i < sizeof(chunks) / sizeof(chunks[0]); i++) {
        const gla_model_options options = {GLA_SIZED(gla_model_options), .kv_dtype = GLA_DTYPE_F32,
                                           .recurrence_chunk = chunks[i]};
        gla_model *m = NULL;
        gla_diag diag;

        cr_assert_eq(gla_model_open(folder, &options, &m, &diag), GLA_OK, "%s: %s", diag.where,
                     diag.message);
        for (size_t k = 0; k < sizeof(feeds) / sizeof(feeds[0]); k++) {
            const double error = golden_error(m, &g, feeds[k]);

            cr_expect_leq(error, bound, "%s: chunk %u, fed %zu at a time: error %.3g over %.3g",
                          c->name, chunks[i], feeds[k], error, bound);
        }
        gla_model_free(m);
    }
    model_folder_remove(folder);
    golden_free(&g);
}
