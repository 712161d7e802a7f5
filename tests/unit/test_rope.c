/* SPDX-License-Identifier: Apache-2.0
 *
 * Rotary positions against the frequencies that transformers makes (tests/golden/make_rope.py) and
 * the rotation in double.
 */
#include "golden/rope_reference.h"

#include <criterion/criterion.h>
#include <gla/gla.h>
#include <math.h>
#include <string.h>

#include "math/ops.h"

static char said[256];

static void explain(const gla_host *h, const char *msg)
{
    (void)h;
    strncpy(said, msg, sizeof(said) - 1);
}

static const gla_host host = {.struct_size = sizeof(host), .explain = explain};

static const rope_reference *find(const char *name)
{
    for (size_t i = 0; i < sizeof(rope_references) / sizeof(rope_references[0]); i++)
        if (strcmp(rope_references[i].name, name) == 0)
            return &rope_references[i];
    return NULL;
}

static gla_rope *make(const gla_rope_spec *spec)
{
    gla_rope *r;

    cr_assert_eq(gla__rope_create(&host, spec, &r), GLA_OK, "%s", said);
    return r;
}

/* One sequence of n rows from `position`. */
static void rotate(const gla_rope *r, uint64_t position, uint32_t n, uint32_t heads,
                   uint32_t head_dim, float *x)
{
    const uint32_t offset[] = {0, n};
    const gla_batch b = {.struct_size = sizeof(b),
                         .n_sequences = 1,
                         .n_rows = n,
                         .row_offset = offset,
                         .position = &position,
                         .host = &host};

    cr_assert_eq(gla__rope_apply(&b, r, heads, head_dim, x, (size_t)heads * head_dim), GLA_OK);
}

/* Turns (1, 0) pairs, so that cosines and sines come out.  The frequency may differ by one in the
 * last place, which the position multiplies. */
static void check_angles(const gla_rope_spec *spec, const char *name, uint64_t position)
{
    const rope_reference *ref = find(name);
    gla_rope *r = make(spec);
    float x[64];

    cr_assert_not_null(ref);
    cr_assert_eq(spec->dims, 2 * ref->pairs);
    for (uint32_t i = 0; i < 2 * ref->pairs; i++)
        x[i] = i < ref->pairs;
    rotate(r, position, 1, 1, spec->dims, x);
    for (uint32_t i = 0; i < ref->pairs; i++) {
        const double angle = (double)((float)position * ref->frequencies[i]);
        const double tolerance = ref->attention_factor * (3e-7 + 1.5 * 0x1p-23 * angle);

        cr_assert_float_eq((double)x[i], cos(angle) * ref->attention_factor, tolerance,
                           "%s cos %u at %u: %g", name, i, (unsigned)position, (double)x[i]);
        cr_assert_float_eq((double)x[i + ref->pairs], sin(angle) * ref->attention_factor, tolerance,
                           "%s sin %u at %u: %g", name, i, (unsigned)position,
                           (double)x[i + ref->pairs]);
    }
    gla__rope_destroy(r);
}

static void check_positions(const gla_rope_spec *spec, const char *name)
{
    static const uint64_t positions[] = {0, 1, 2, 77, 1000, 4095};

    for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++)
        check_angles(spec, name, positions[i]);
}

Test(rope, linear_and_llama3_are_those_of_transformers)
{
    check_positions(&(gla_rope_spec){.struct_size = sizeof(gla_rope_spec),
                                     .dims = 32,
                                     .scaling = GLA_ROPE_LINEAR,
                                     .theta = 1e4,
                                     .factor = 4,
                                     .max_positions = 4096},
                    "linear");
    check_positions(&(gla_rope_spec){.struct_size = sizeof(gla_rope_spec),
                                     .dims = 64,
                                     .scaling = GLA_ROPE_LLAMA3,
                                     .theta = 5e5,
                                     .factor = 8,
                                     .low_freq_factor = 1,
                                     .high_freq_factor = 4,
                                     .original_positions = 8192,
                                     .max_positions = 131072},
                    "llama3");
}

Test(rope, yarn_is_that_of_transformers)
{
    check_positions(&(gla_rope_spec){.struct_size = sizeof(gla_rope_spec),
                                     .dims = 64,
                                     .scaling = GLA_ROPE_YARN,
                                     .theta = 1e6,
                                     .factor = 4,
                                     .original_positions = 32768,
                                     .max_positions = 131072},
                    "yarn");
    check_positions(&(gla_rope_spec){.struct_size = sizeof(gla_rope_spec),
                                     .dims = 64,
                                     .scaling = GLA_ROPE_YARN,
                                     .theta = 1e4,
                                     .factor = 40,
                                     .original_positions = 4096,
                                     .max_positions = 163840,
                                     .mscale = 1,
                                     .mscale_all_dim = 0.8,
                                     .beta_fast = 32,
                                     .beta_slow = 1},
                    "yarn_mscale");
    check_positions(&(gla_rope_spec){.struct_size = sizeof(gla_rope_spec),
                                     .dims = 32,
                                     .scaling = GLA_ROPE_YARN,
                                     .theta = 1e4,
                                     .factor = 2,
                                     .original_positions = 4096,
                                     .max_positions = 8192,
                                     .beta_fast = 16,
                                     .beta_slow = 2,
                                     .attention_factor = 1.25},
                    "yarn_given");
}

Test(rope, longrope_goes_from_short_to_long_factors)
{
    double shorter[16], longer[16];
    const gla_rope_spec spec = {.struct_size = sizeof(spec),
                                .dims = 32,
                                .scaling = GLA_ROPE_LONGROPE,
                                .theta = 1e4,
                                .original_positions = 4096,
                                .max_positions = 131072,
                                .short_factor = shorter,
                                .long_factor = longer};

    for (int i = 0; i < 16; i++) {
        shorter[i] = 1 + i / 32.0;
        longer[i] = 1 + i * i / 4.0;
    }
    check_positions(&spec, "longrope_short"); /* the last one makes 4096 tokens */
    check_angles(&spec, "longrope_long", 4096);
    check_angles(&spec, "longrope_long", 70000);
}

/* What the cosine of angle 0 is. */
static double magnitude(const gla_rope_spec *spec)
{
    float x[4] = {1, 1, 0, 0};
    gla_rope *r = make(spec);

    rotate(r, 0, 1, 1, 4, x);
    gla__rope_destroy(r);
    return (double)x[0];
}

Test(rope, longrope_takes_its_factor_before_that_of_the_positions)
{
    const double factors[] = {1, 1};
    gla_rope_spec spec = {.struct_size = sizeof(spec),
                          .dims = 4,
                          .scaling = GLA_ROPE_LONGROPE,
                          .theta = 1e4,
                          .original_positions = 64,
                          .max_positions = 256,
                          .short_factor = factors,
                          .long_factor = factors};

    cr_expect_float_eq(magnitude(&spec), sqrt(1 + log(4) / log(64)), 1e-6);
    spec.factor = 16;
    cr_expect_float_eq(magnitude(&spec), sqrt(1 + log(16) / log(64)), 1e-6);
    spec.factor = 0.5;
    cr_expect_float_eq(magnitude(&spec), 1, 1e-6);
}

Test(rope, dynamic_changes_the_base_when_longer_than_made_for)
{
    const gla_rope_spec spec = {.struct_size = sizeof(spec),
                                .dims = 32,
                                .scaling = GLA_ROPE_DYNAMIC,
                                .theta = 1e4,
                                .factor = 2,
                                .max_positions = 2048};

    check_angles(&spec, "dynamic_within", 7);
    check_angles(&spec, "dynamic_within", 2047);
    check_angles(&spec, "dynamic_beyond", 5999);
}

static float value(uint32_t i)
{
    return (float)((i * 37 + 11) % 101) / 50 - 1;
}

/* Partial rotation of several heads and rows, in both forms, against the definition. */
static void check_rotation(uint32_t interleaved)
{
    const gla_rope_spec spec = {
        .struct_size = sizeof(spec), .dims = 8, .interleaved = interleaved, .theta = 1e4};
    gla_rope *r = make(&spec);
    float x[40 * 3 * 12];

    for (uint32_t i = 0; i < 40 * 36; i++)
        x[i] = value(i);
    rotate(r, 1000, 40, 3, 12, x);
    for (uint32_t i = 0; i < 40 * 36; i++) {
        const uint32_t row = i / 36, d = i % 12, start = i - d;
        const uint32_t pair = interleaved ? d / 2 : d % 4;
        const uint32_t a = start + (interleaved ? 2 * pair : pair), b = a + (interleaved ? 1 : 4);
        const double angle = (double)((float)(1000 + row) * (float)pow(1e4, -2.0 * pair / 8));
        const double expected = d >= 8 ? (double)value(i)
                                : i == a
                                    ? (double)value(a) * cos(angle) - (double)value(b) * sin(angle)
                                    : (double)value(b) * cos(angle) + (double)value(a) * sin(angle);

        cr_assert_float_eq((double)x[i], expected, 3e-4 * (d < 8), "row %u number %u: %g not %g",
                           row, i % 36, (double)x[i], expected);
    }
    gla__rope_destroy(r);
}

Test(rope, rotates_halves_and_pairs_of_every_head)
{
    check_rotation(0);
    check_rotation(1);
}

Test(rope, rows_of_a_batch_have_the_positions_of_their_sequences)
{
    const gla_rope_spec spec = {.struct_size = sizeof(spec), .dims = 16, .theta = 1e4};
    gla_rope *r = make(&spec);
    const uint32_t offset[] = {0, 20, 20, 21, 60};
    const uint64_t position[] = {5, 900, 31, 0};
    float x[60 * 16], alone[60 * 16];
    const gla_batch b = {.struct_size = sizeof(b),
                         .n_sequences = 4,
                         .n_rows = 60,
                         .row_offset = offset,
                         .position = position,
                         .host = &host};

    for (uint32_t i = 0; i < 60 * 16; i++)
        x[i] = alone[i] = value(i);
    cr_assert_eq(gla__rope_apply(&b, r, 1, 16, x, 16), GLA_OK);
    for (uint32_t s = 0; s < 4; s++)
        rotate(r, position[s], offset[s + 1] - offset[s], 1, 16, alone + (size_t)offset[s] * 16);
    cr_assert_arr_eq(x, alone, sizeof(x));
    gla__rope_destroy(r);
}

Test(rope, refuses_what_it_cannot_do)
{
    gla_rope_spec spec = {.struct_size = sizeof(spec), .dims = 7, .theta = 1e4};
    float x[8] = {0};
    const gla_batch b = {.host = &host};
    gla_rope *r = (gla_rope *)(void *)x;

    cr_assert_eq(gla__rope_create(&host, &spec, &r), GLA_E_INVALID);
    cr_assert_null(r);
    spec.dims = 2048;
    cr_assert_eq(gla__rope_create(&host, &spec, &r), GLA_E_UNSUPPORTED);
    spec.dims = 16;
    spec.scaling = 9;
    cr_assert_eq(gla__rope_create(&host, &spec, &r), GLA_E_UNSUPPORTED);
    spec.scaling = GLA_ROPE_YARN;
    cr_assert_eq(gla__rope_create(&host, &spec, &r), GLA_E_INVALID);
    spec.scaling = GLA_ROPE_DEFAULT;
    r = make(&spec);
    cr_assert_eq(gla__rope_apply(&b, r, 1, 8, x, 8), GLA_E_INVALID); /* head of 8, dims 16 */
    gla__rope_destroy(r);
    gla__rope_destroy(NULL);
}
