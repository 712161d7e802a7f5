/* SPDX-License-Identifier: Apache-2.0 */

#include "breach.h"
