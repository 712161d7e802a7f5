/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/gla.h - everything but the plugins' gla/plugin.h: language models that mix gated linear
 * attention with softmax attention
 *
 * What is of the whole process is implemented by core/base, checking layers by core/graph, what the
 * library was built with by core/runtime.
 *
 *     gla_model *model;
 *     gla_session *s;
 *     gla_diag diag;
 *     if (gla_model_open("models/tiny-hybrid", NULL, &model, &diag)) ...
 *     gla_session_create(model, NULL, &s, &diag);
 *     gla_session_feed(s, tokens, n_tokens, GLA_FEED_LOGITS, &diag);
 *     ... gla_session_logits(s)                                  [vocab_size], of the last token
 *     gla_session_free(s);
 *     gla_model_free(model);
 *
 * The library never prints, aborts or exits, and allocates through one hook.
 *
 * Pointers: NULL where a comment says so, and for diag everywhere (nothing is reported then).  Any
 * other NULL, and an object that was released, is a mistake that nobody looks for.  Numbers, token
 * ids and texts may be anything: what does not fit is GLA_E_INVALID, and changes nothing.
 *
 * Life: whatever the library gives out is released by gla_<object>_free(), which takes NULL.
 * Models and registries are counted: sessions keep their model alive, models their registry.  A
 * detokenizer needs its tokenizer.
 *
 * Growth: a program works with every later library of its SONAME: the same major version, before
 * 1.0 the same minor one.  What a program fills in begins with struct_size (GLA_SIZED), what the
 * library fills in comes with its size, and arrays with the size of an element.  A struct from an
 * older program has zeros in what it does not know; of a newer one, fields that this library does
 * not know must be zero (GLA_E_UNSUPPORTED).  What the library makes (views) grows at the end;
 * arrays of them are reached through functions.  gla_diag alone is of a fixed size, with room in
 * it: it is everywhere, and nobody prepares it.
 *
 * Threads: models, tokenizers, chat templates and files of weights may be used by any number at
 * once; a session, sampler or detokenizer by one at a time.  [control]: while no other thread is in
 * the library.
 */
#ifndef GLA_GLA_H
#define GLA_GLA_H

#define GLA_VERSION_MAJOR 0
#define GLA_VERSION_MINOR 1
#define GLA_VERSION_PATCH 0

#include <gla/arch.h>
#include <gla/chat.h>
#include <gla/convert.h>
#include <gla/measure.h>
#include <gla/model.h>
#include <gla/sampler.h>
#include <gla/session.h>
#include <gla/status.h>
#include <gla/tokenizer.h>
#include <gla/types.h>
#include <gla/weights.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the headers: 100 for 0.1.0, 10203 for 1.2.3. */
#define GLA_VERSION_NUMBER (GLA_VERSION_MAJOR * 10000 + GLA_VERSION_MINOR * 100 + GLA_VERSION_PATCH)
/* Of the library that runs: "0.1.0", and as above. */
GLA_API const char *gla_version(void);
GLA_API uint32_t gla_version_number(void);
/* Of the plugin ABI it has: 10000 for 1.0, 10100 for 1.1. */
GLA_API uint32_t gla_abi_version(void);
/* One line: versions of gla, ABI, compiler, oneDNN, zstd, CPU features in use.  Static storage. */
GLA_API const char *gla_build_info(void);

/* ---- of the process ------------------------------------------------------
 *
 * Threads and log are defaults: a model has threads of its own number, a registry its own log, so
 * that a library inside another program leaves these alone.  The allocator is one, since memory
 * passes between objects and is released without knowing whose it was; validating is one, since
 * layers' code is one for all models. */

/* Replaces the allocator of the whole library; call before anything else.  NULL, NULL: the default.
 * [control] */
typedef void *gla_alloc_fn(void *ctx, size_t bytes, size_t alignment);
typedef void gla_free_fn(void *ctx, void *p);
GLA_API void gla_set_allocator(gla_alloc_fn *alloc, gla_free_fn *free, void *ctx);

/* Receives what the library and plugins have to say; default: nothing is said.  [control] */
GLA_API void gla_set_log(gla_log_fn *fn, void *ctx, int32_t min_level);

/* Threads used by one call; 0 = all cores (or GLA_NUM_THREADS).  [control] */
GLA_API void gla_set_threads(uint32_t n);
GLA_API uint32_t gla_threads(void);

/* Checks every call of every layer for what plugins get wrong: writing outside of their memory,
 * leaving y unwritten, allocating in forward(), depending on more than their input, chunked form
 * unlike recurrent form.  The first breach fails the call with GLA_E_PLUGIN and says what to do.
 * Slow.  Default: on if the environment has GLA_VALIDATE=1.  [control] */
GLA_API void gla_set_validate(int on);
/* While validating: the function of a plugin that runs now, "layers.0.mixer (org.example.ema/1):
 * forward()", "" if none does.  For the handler of a signal that the plugin may have caused. */
GLA_API const char *gla_validate_now(void);

#ifdef __cplusplus
}
#endif
#endif
