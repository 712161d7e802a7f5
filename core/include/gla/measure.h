/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/measure.h - what this machine can do, and where the time of a model goes
 *
 * Implemented by core/runtime.
 *
 * The two limits of a language model on a processor, measured by plain loops that know nothing of
 * models: how fast memory is read (decoding cannot be faster) and how fast matrices are multiplied
 * (prefill cannot).  Both use all threads of gla_set_threads().  On a machine that others use as
 * well, measure them right beside what is compared with them, several times.
 *
 *     double rate;
 *     gla_measure_read(big, bytes, 0.1, &rate, &diag);                bytes per second
 *     gla_measure_gemm(512, 3584, 1024, GLA_DTYPE_F32, 0.05, &rate, &diag);       FLOP per second
 *
 * Nothing is kept between calls.  Not for several threads at once: they would measure each other.
 */
#ifndef GLA_MEASURE_H
#define GLA_MEASURE_H

#include <gla/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes per second at which all threads together read data[0 .. bytes), over and over for about
 * `seconds`, at least once.  Memory speed, if that is several times what the caches hold and the
 * pages have been written to before. */
GLA_API GLA_NODISCARD gla_status gla_measure_read(const void *data, size_t bytes, double seconds,
                                                  double *rate, gla_diag *diag);

/* Floating-point operations per second of [rows, in] times [in, out], for about `seconds`, at least
 * once: f32 by oneDNN, or 8-bit integers (u8 times s8 into 32 bits) for GLA_DTYPE_I8, the two that
 * prefill is made of.  Other dtypes are refused. */
GLA_API GLA_NODISCARD gla_status gla_measure_gemm(uint32_t rows, uint32_t out, uint32_t in,
                                                  uint32_t dtype, double seconds, double *rate,
                                                  gla_diag *diag);

/* What a layer asks the math table for, by kind. */
typedef enum gla_work {
    GLA_WORK_LINEAR = 0,
    GLA_WORK_RECURRENCE, /* and scans */
    GLA_WORK_ATTENTION,  /* and rotary positions */
    GLA_WORK_CONV,
    GLA_WORK_NORM,
    GLA_WORK_ACTIVATION
} gla_work;
#define GLA_WORK_COUNT 6
/* "linear", "recurrence", ...; "?" if there is none. */
GLA_API const char *gla_work_name(uint32_t work);

/* gla_feed() that also adds to seconds[kind], for kinds below n_seconds, the time it took by the
 * clock.  What is missing to the whole is layers' own work, sums of branches and bookkeeping. */
GLA_API GLA_NODISCARD gla_status gla_measure_feed(const gla_feed_item *items, size_t n_items,
                                                  size_t item_size, gla_progress_fn *progress,
                                                  void *ctx, double *seconds, size_t n_seconds,
                                                  gla_diag *diag);

/* Puts a session n tokens further on without computing them: token 0 throughout, KV caches of
 * noise, recurrent states as they were.  What it says from here on is nonsense; what it costs is
 * what any session at that position costs, so decoding after a long context can be timed without a
 * long prefill.  Refused for sessions that use the prefix cache. */
GLA_API GLA_NODISCARD gla_status gla_measure_fill(gla_session *s, uint64_t n, gla_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
