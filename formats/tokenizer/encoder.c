/* SPDX-License-Identifier: Apache-2.0
 *
 * encoder.c - what one call of gla_tokenizer_encode() gathers
 */
#include "base/alloc.h"
#include "formats/tokenizer/parts.h"

gla_status gla__encoder_push(gla__encoder *e, uint32_t id)
{
    if (gla__grow((void **)&e->ids, &e->ids_capacity, e->n_ids, sizeof(*e->ids)))
        return GLA_E_NOMEM;
    e->ids[e->n_ids++] = (int32_t)id;
    return GLA_OK;
}

void gla__encoder_deinit(gla__encoder *e)
{
    gla__free(e->ids);
    gla__free(e->symbols);
    gla__free(e->heap);
    gla__bytes_free(&e->mapped);
    gla__bytes_free(&e->normal[0]);
    gla__bytes_free(&e->normal[1]);
    for (size_t i = 0; i < GLA__TOK_MAX_STEPS; i++)
        gla__bytes_free(&e->texts[i]);
    gla__regex_scratch_deinit(&e->scratch);
}
