/* SPDX-License-Identifier: Apache-2.0
 *
 * glaw_form.h - the fixed header of weights.glaw, for its reader and its writer
 *
 * 64 bytes: magic [8], u32 version, u32 header size, then u64 each: offset, stored size and raw
 * size of the index, XXH3-64 of the raw index, size of the file, XXH3-64 of the 56 bytes before.
 * Chunks fill the bytes from 64 to the index, the index those to the end.
 */
#ifndef GLA_FORMATS_WEIGHTS_GLAW_FORM_H
#define GLA_FORMATS_WEIGHTS_GLAW_FORM_H

#define GLA__GLAW_MAGIC     "\x89glaw\r\n\x1a"
#define GLA__GLAW_VERSION   1u
#define GLA__GLAW_HEADER    64u
#define GLA__GLAW_MAX_INDEX (UINT64_C(16) << 20)

enum {
    GLA__GLAW_AT_VERSION = 8,
    GLA__GLAW_AT_HEADER_SIZE = 12,
    GLA__GLAW_AT_INDEX = 16,
    GLA__GLAW_AT_INDEX_STORED = 24,
    GLA__GLAW_AT_INDEX_RAW = 32,
    GLA__GLAW_AT_INDEX_HASH = 40,
    GLA__GLAW_AT_FILE_SIZE = 48,
    GLA__GLAW_AT_HASH = 56
};

#endif
