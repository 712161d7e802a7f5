/* SPDX-License-Identifier: Apache-2.0 */
#define PLANES_TABLE gla__planes_c
#include "formats/weights/planes_body.h"
