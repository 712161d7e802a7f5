/* SPDX-License-Identifier: Apache-2.0 */
#define PLANES_TABLE gla__planes_avx2
#include "formats/weights/planes_body.h"
