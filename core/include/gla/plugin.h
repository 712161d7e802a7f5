/* SPDX-License-Identifier: Apache-2.0
 *
 * gla/plugin.h - layer plugin ABI, version 1.1
 *
 * What a layer and the toolkit say to each other.  A plugin links against nothing: every service
 * comes through the gla_host and gla_math tables.  gla/blocks.h has inline conveniences on top;
 * they are compiled into the plugin and are no part of the ABI.  The host's side is core/graph
 * (objects, declarations), core/math (the table) and core/runtime (loading).
 *
 * A layer is two functions and two tables:
 *
 *   params[]   what a user may write in arch.yaml; checked before make()
 *   make()     computes dimensions from the parameters and declares weights, linear maps, numbers,
 *              state and scratch; cheap, no weights, no large memory
 *   forward()  a ragged batch of sequences in, the same rows out
 *
 * The host owns all memory: the layer object itself, what it declared, weights, state and scratch.
 * Therefore it can fork, truncate, snapshot, save and budget the state of any layer, make packed
 * weights again after one has changed, and say what a layer consists of without running it.
 *
 * ABI rules (docs/abi.md has the policy)
 *   - Structs grow at the end only.  Read a field beyond the 1.0 ones only after checking
 *     struct_size.  Fields are never reordered or reused.
 *     Who fills a struct in sets its struct_size: GLA_E_ABI where it is less than version 1.0's.
 *   - What stands in arrays has its distance beside it (part_size, param_size, ...); 0 = 1.0's.
 *   - Same major = compatible.  A new minor adds fields or extensions.  A layer made for a later
 *     minor than the host's (gla_host.abi_minor) asks before it uses what came later.
 *   - All strings are UTF-8, NUL-terminated, and live until deinit().
 *   - Every callback takes its object first.
 *
 * Thread tags
 *   [control]      one thread at a time for this object; no forward() of it runs
 *   [exec]         any thread, also concurrently for different batches of the
 *                  same layer; allocating, locking and blocking I/O are forbidden
 *   [thread-safe]  any thread, concurrently
 *
 * Dimension letters, here and everywhere: B sequences, T tokens, D model,
 * H heads, K key dim, V value dim, C chunk, L layers, N vocabulary.
 * "rows" are the tokens of all sequences of a batch, one after the other.
 */
#ifndef GLA_PLUGIN_H
#define GLA_PLUGIN_H

#include <gla/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GLA_ABI_MAJOR    1u
#define GLA_ABI_MINOR    1u
#define GLA_PLUGIN_MAGIC UINT32_C(0x50414c47) /* "GLAP", little-endian */
#define GLA_MAX_PARTS    8                    /* of one linear map or convolution */

#define GLA_PLUGIN_EXPORT __attribute__((visibility("default")))

/* A view: owns nothing, row-major and dense (the last dimension is contiguous).  For quantised
 * dtypes data and aux are the host's business: hand the tensor to the math table as it is. */
typedef struct gla_tensor {
    const void *data;
    const void *aux; /* quantisation scales; NULL for float types */
    uint32_t dtype;  /* gla_dtype */
    uint32_t ndim;
    int64_t dims[GLA_MAX_DIMS];
} gla_tensor;

/* ---- host ------------------------------------------------------------- */

typedef struct gla_host {
    uint32_t struct_size;
    uint32_t abi_major, abi_minor;
    uint32_t reserved;
    void *ctx;
    const char *name, *version;
    /* Does not take ownership of msg.  [thread-safe] */
    void (*log)(const struct gla_host *host, int32_t level, const char *msg);
    /* Explains the status about to be returned; at most 255 bytes are kept.  [thread-safe] */
    void (*explain)(const struct gla_host *host, const char *msg);
    /* NULL if unknown.  Owned by the host, valid until deinit().  [thread-safe] */
    const void *(*get_extension)(const struct gla_host *host, const char *id);
} gla_host;

/* Explains and returns. */
static inline gla_status gla_host_fail(const gla_host *h, gla_status st, const char *msg)
{
    h->explain(h, msg);
    return st;
}

#define GLA_HOST_ALLOC_ID "gla.host.alloc/1"
typedef struct gla_host_alloc {
    uint32_t struct_size;
    /* 64-byte aligned, zeroed, or NULL.  Never call it in forward().  [control] */
    void *(*alloc)(const gla_host *host, size_t bytes);
    void (*free)(const gla_host *host, void *p); /* NULL allowed */
} gla_host_alloc;

#define GLA_HOST_PARALLEL_ID "gla.host.parallel/1"
typedef struct gla_host_parallel {
    uint32_t struct_size;
    /* Runs fn(arg, i) for i in [0, n), on several threads, and waits.  Not to be nested.  [exec] */
    void (*for_range)(const gla_host *host, uint32_t n, void (*fn)(void *arg, uint32_t i),
                      void *arg);
    uint32_t (*width)(const gla_host *host); /* threads that for_range uses at most */
} gla_host_parallel;

/* ---- parameters -------------------------------------------------------- */

typedef enum gla_param_kind {
    GLA_PARAM_INT = 1,
    GLA_PARAM_FLOAT,
    GLA_PARAM_BOOL,
    GLA_PARAM_ENUM, /* value .i is the index into enum_values */
    GLA_PARAM_LIST  /* of numbers */
} gla_param_kind;

/* What arch.yaml may say.  A dot in a name is a nested mapping: "rope.theta" is rope: {theta: 1e4}.
 */
typedef struct gla_param_desc {
    const char *name;
    uint32_t kind;     /* gla_param_kind */
    uint32_t required; /* 1: must be given, def is not used */
    double def, min, max;
    const char *const *enum_values; /* NULL-terminated, for GLA_PARAM_ENUM */
    const char *help;
} gla_param_desc;

typedef struct gla_param_value { /* same order as params[] */
    int64_t i;                   /* INT, BOOL, ENUM */
    double f;                    /* FLOAT; INT as well */
    const double *list;          /* LIST, valid during make() or create() */
    uint32_t n_list;
    uint32_t is_set; /* 1: the file gave it, 0: this is the default */
} gla_param_value;

#define GLA_P_INT(name, def, min, max, help)                                                       \
    {                                                                                              \
        name, GLA_PARAM_INT, 0, def, min, max, NULL, help                                          \
    }
#define GLA_P_INT_REQ(name, min, max, help)                                                        \
    {                                                                                              \
        name, GLA_PARAM_INT, 1, 0, min, max, NULL, help                                            \
    }
#define GLA_P_FLOAT(name, def, min, max, help)                                                     \
    {                                                                                              \
        name, GLA_PARAM_FLOAT, 0, def, min, max, NULL, help                                        \
    }
#define GLA_P_BOOL(name, def, help)                                                                \
    {                                                                                              \
        name, GLA_PARAM_BOOL, 0, def, 0, 1, NULL, help                                             \
    }
#define GLA_P_ENUM(name, def, values, help)                                                        \
    {                                                                                              \
        name, GLA_PARAM_ENUM, 0, def, 0, 0, values, help                                           \
    }
#define GLA_P_LIST(name, help)                                                                     \
    {                                                                                              \
        name, GLA_PARAM_LIST, 0, 0, 0, 0, NULL, help                                               \
    }

/* ---- what a layer declares in make() or create() ----------------------- */

typedef struct gla_linear gla_linear; /* packed weights, immutable after creation */
typedef struct gla_conv gla_conv;
typedef struct gla_rope gla_rope;
typedef struct gla_rope_spec gla_rope_spec;
typedef struct gla_math gla_math;

/* How a weight of a fresh model starts (gla-train); a, b, c by kind. */
typedef enum gla_init_kind {
    GLA_INIT_DEFAULT = 0, /* matrices and taps N(0, the model's deviation); other numbers 0 */
    GLA_INIT_CONSTANT,    /* a */
    GLA_INIT_NORMAL,      /* N(0, a) */
    GLA_INIT_UNIFORM,     /* U(a, b) */
    GLA_INIT_LOG_UNIFORM, /* log U(a, b)                        (A_log) */
    GLA_INIT_LOG_ARANGE,  /* log(1 .. n) along the last dim     (Mamba's A_log) */
    GLA_INIT_STEP,        /* softplus^-1(max(exp U(log a, log b), c))   (dt_bias) */
    GLA_INIT_FAN_IN,      /* U(-a / sqrt(in), a / sqrt(in)) */
    GLA_INIT_ORTHOGONAL,  /* orthogonal rows or columns, times a */
    GLA_INIT_RAMP         /* a + b (i / (n - 1))^c along the last dim   (RWKV's mixes) */
} gla_init_kind;
typedef struct gla_init {
    uint32_t struct_size;
    uint32_t kind; /* gla_init_kind */
    double a, b, c;
} gla_init;

typedef struct gla_weight_desc {
    const char *name; /* relative to the layer ("q_proj.weight"), or from the model's root
                         ("/embed.weight"); copied by the host */
    uint32_t role;    /* gla_weight_role */
    uint32_t ndim;
    int64_t dims[GLA_MAX_DIMS]; /* exact; the host has checked the file against them */
    double active;              /* share of it that one token uses: 1, or top_k / n_experts */
    uint32_t flags;             /* GLA_WEIGHT_* */
    uint32_t struct_size;       /* 0: version 1.0, which ends here */
    const gla_init *init;       /* since 1.1: how it starts; NULL: GLA_INIT_DEFAULT */
} gla_weight_desc;

typedef enum gla_state_kind {
    GLA_STATE_FIXED = 1,    /* f32, constant size per sequence, cannot be cut back by itself */
    GLA_STATE_PER_TOKEN = 2 /* KV cache: grows by the token; reached through math->attention only */
} gla_state_kind;

typedef struct gla_state_desc {
    const char *name; /* copied by the host */
    uint32_t kind;    /* gla_state_kind */
    uint32_t ndim;    /* FIXED: dims of the f32 array, zero at the start of a sequence */
    int64_t dims[GLA_MAX_DIMS];
    /* PER_TOKEN only: one cached token is kv_heads keys of k_dim and kv_heads values of v_dim
     * numbers. v_dim 0: the value is the first part of the key (MLA). */
    uint32_t kv_heads, k_dim, v_dim;
    uint32_t window;      /* PER_TOKEN: only the last so many tokens are needed; 0 = all */
    uint32_t q_heads;     /* PER_TOKEN: query heads at most, a multiple of kv_heads */
    uint32_t struct_size; /* 0: version 1.0 */
    double flops; /* per token; PER_TOKEN: per token and cached token.  For the cost model. */
} gla_state_desc;

/* ---- since 1.1: packed weights and derived numbers, said as data ---- */

/* Which numbers of a larger weight a part is: out x in, element (o, i) at offset + o * out_stride +
 * i * in_stride.  The weight is a VECTOR (role 2), or a MATRIX of a float type. */
typedef struct gla_view {
    uint32_t struct_size;
    uint32_t role; /* gla_weight_role of the whole */
    uint32_t ndim;
    uint32_t bias_rows;         /* > 0: the larger vector is [bias_rows, bias_size / bias_rows] */
    int64_t dims[GLA_MAX_DIMS]; /* of the whole */
    uint64_t offset, out_stride, in_stride;
    uint64_t bias_offset; /* the part's first bias in a larger vector ... */
    uint64_t bias_size;   /* ... of so many numbers; 0: the bias is the part's own */
} gla_view;

/* The outputs of a linear map or the channels of a convolution that come from one weight. */
typedef struct gla_part {
    const char *name;     /* "q_proj": q_proj.weight [out, in] or [out, taps]; "": "weight" */
    uint32_t out;         /* 0: the part is absent */
    uint32_t flags;       /* GLA_PART_* */
    const char *bias;     /* the bias' full name; NULL: NAME.bias */
    const gla_view *view; /* NULL: the whole weight */
    const gla_init *init, *bias_init;
} gla_part;
#define GLA_PART_BIAS       1u /* it has a bias [out] */
#define GLA_PART_SENSITIVE  2u /* keep in high precision when quantising (gates, routers) */
#define GLA_PART_TRANSPOSED 4u /* stored [in, out]; the map's only part */
#define GLA_PART_LOOKUP     8u /* read by row (gather), not multiplied: costs no FLOPs */

/* y = W x + b, W the parts stacked along the outputs.  Two maps may name the same weight. */
typedef struct gla_map {
    uint32_t struct_size;
    uint32_t part_size; /* sizeof(gla_part) */
    const gla_part *parts;
    uint32_t n_parts, in;
    uint32_t groups; /* > 1: one part [groups, out, in], for linear_grouped() */
    uint32_t reserved;
    double active; /* share of the groups that one token uses; 0 = 1 */
} gla_map;

/* A short convolution over the parts' channels, one after the other. */
typedef struct gla_conv_map {
    uint32_t struct_size;
    uint32_t part_size;
    const gla_part *parts;
    uint32_t n_parts;
    uint32_t width;      /* taps; [.., width - 1] multiplies the current token */
    uint32_t activation; /* gla_activation */
    uint32_t reserved;
} gla_conv_map;

/* Numbers made of one VECTOR weight: out [i, j, k] = shift + scale act(w [offset + i s0 + j s1 + k
 * s2]). Stride 0 repeats, exchanged strides transpose, an offset takes a part.  out_ndim 0: w
 * itself, as it is, when act, scale and shift leave it alone too (scale 0 is taken as 1). */
typedef struct gla_expr {
    uint32_t struct_size;
    uint32_t act;     /* gla_activation */
    const char *name; /* of the weight: "A_log" */
    uint32_t ndim;
    uint32_t flags; /* GLA_WEIGHT_* */
    int64_t dims[GLA_MAX_DIMS];
    uint32_t out_ndim, reserved;
    int64_t out_dims[3];
    int64_t stride[3];
    uint64_t offset;
    float scale, shift;
    const gla_init *init;
} gla_expr;

/* Valid during make() or create() only.  Functions return the index of what was declared; the first
 * error sticks and make() or create() fails with it, so that a layer need not check each call. */
typedef struct gla_declare {
    uint32_t struct_size;
    uint32_t reserved;
    void *ctx;
    uint32_t (*weight)(const struct gla_declare *d, const gla_weight_desc *desc);
    uint32_t (*state)(const struct gla_declare *d, const gla_state_desc *desc);
    /* f32 scratch of per_row * rows + per_sequence * sequences + fixed numbers, 64-byte aligned;
     * contents undefined at the start of forward() */
    uint32_t (*scratch)(const struct gla_declare *d, size_t per_row, size_t per_sequence,
                        size_t fixed);
    /* f32 rows shared by all layers that name them, in the order of the layers, alive for one
     * forward pass of the model (RWKV-7's first value, say), zero when it begins.  Index into
     * batch->shared. */
    uint32_t (*shared)(const struct gla_declare *d, const char *name, size_t per_row);

    /* ---- since 1.1; only for layers with layer_bytes ----
     * `out` points into the layer object.  The host fills it when the weights are there, before
     * bound(), again when a weight has changed, and releases it after the layer. */
    void (*linear)(const struct gla_declare *d, const gla_map *map, gla_linear **out);
    void (*conv)(const struct gla_declare *d, const gla_conv_map *map, gla_conv **out);
    /* Filled at once: needs no weights. */
    void (*rope)(const struct gla_declare *d, const gla_rope_spec *spec, gla_rope **out);
    void (*numbers)(const struct gla_declare *d, const gla_expr *e, const float **out);
    /* n zeroed numbers that make() or bound() fills in. */
    void (*table)(const struct gla_declare *d, size_t n, float **out);
    /* shared() for who writes the rows: a model in which somebody reads rows that no layer before
     * it writes is refused. */
    uint32_t (*shared_written)(const struct gla_declare *d, const char *name, size_t per_row);
} gla_declare;

typedef struct gla_layer_config {
    uint32_t struct_size;
    uint32_t d_in, d_out; /* width of x and y */
    uint32_t d_model, vocab_size;
    uint32_t layer_index, n_layers; /* of the block this layer sits in, 0-based; and how many */
    uint32_t max_positions;         /* context length the model was made for; 0 = not said */
    double norm_eps;                /* the model's default epsilon */
    const gla_param_value *params;  /* in the order of the layer's tables: params, then more */
    const gla_declare *declare;
    const gla_host *host; /* since 1.1 */
    const gla_math *math; /* since 1.1 */
} gla_layer_config;

/* ---- a batch ----------------------------------------------------------- */

typedef struct gla_batch {
    uint32_t struct_size;
    uint32_t n_sequences;
    uint32_t n_rows;   /* tokens of all sequences; 0 must be tolerated */
    uint32_t n_states; /* declared by this layer */
    const uint32_t
        *row_offset; /* [n_sequences + 1]: sequence s has rows row_offset[s] .. row_offset[s + 1] */
    const uint64_t *position; /* [n_sequences]: tokens already absorbed by the state */
    const int32_t
        *tokens;    /* [n_rows] token ids; NULL where they are not known (after row selection) */
    const float *x; /* [n_rows, d_in] */
    float *y;       /* [n_rows, d_out]; never aliases x */
    void *const *states;   /* [n_sequences * n_states]; see gla_state_f32() */
    float *const *scratch; /* by declared index */
    float *const *shared;  /* by declared index */
    const gla_host *host;
    void *exec;           /* the host's; threads and scratch of this call */
    const gla_math *math; /* since 1.1 */
} gla_batch;

/* The declared FIXED state i of sequence s. */
static inline float *gla_state_f32(const gla_batch *b, uint32_t s, uint32_t i)
{
    return (float *)b->states[(size_t)s * b->n_states + i];
}

/* ---- math table -------------------------------------------------------- */

/* Everything works on f32 rows: pointer to the first row plus distance between rows in numbers
 * (ld). Rows must not overlap other operands unless "in place" is allowed. */

typedef enum gla_activation {
    GLA_ACT_NONE = 0,
    GLA_ACT_SILU = 1, /* = swish */
    GLA_ACT_SIGMOID = 2,
    GLA_ACT_RELU = 3,
    GLA_ACT_RELU2 = 4, /* relu(x)^2 */
    GLA_ACT_GELU = 5,  /* exact, erf */
    GLA_ACT_GELU_TANH = 6,
    GLA_ACT_TANH = 7,
    GLA_ACT_SOFTPLUS = 8, /* log(1 + e^x), linear above 20 */
    GLA_ACT_LOG_SIGMOID = 9,
    GLA_ACT_EXP = 10,
    GLA_ACT_ELU1 = 11, /* elu(x) + 1 */
    GLA_ACT_SQUARE = 12,
    GLA_ACT_ONE_MINUS_EXP = 13 /* 1 - e^x, exact near 0; since 1.1 */
} gla_activation;
#define GLA_ACTIVATION_NAMES                                                                       \
    "none", "silu", "sigmoid", "relu", "relu2", "gelu", "gelu_tanh", "tanh", "softplus",           \
        "log_sigmoid", "exp", "elu1", "square", "one_minus_exp"

/* y = W x + b with W the parts stacked along the outputs: one pass over x for all of them.  A
 * tensor as bind() got it is kept and used in place, a view into one or other memory is copied. */
typedef struct gla_linear_spec {
    uint32_t struct_size;
    uint32_t n_parts;
    const gla_tensor *const
        *weights;               /* each [out_i, in]; with groups > 1 one part [groups, out, in] */
    const float *const *biases; /* NULL, or per part: NULL or [out_i] */
    uint32_t groups;            /* 1, or the number of experts */
    uint32_t transpose;         /* 1: W is stored [in, out]; one part, float types only */
} gla_linear_spec;

typedef struct gla_conv_spec {
    uint32_t struct_size;
    uint32_t n_parts;            /* channels of the parts follow each other */
    uint32_t width;              /* W */
    uint32_t activation;         /* gla_activation */
    const float *const *weights; /* each [C_i, W]; [.., W - 1] multiplies the current token */
    const float *const *biases;  /* NULL, or per part: NULL or [C_i] */
    const uint32_t *channels;    /* [n_parts] */
} gla_conv_spec;

typedef enum gla_rope_scaling {
    GLA_ROPE_DEFAULT = 0,
    GLA_ROPE_LINEAR = 1,
    GLA_ROPE_LLAMA3 = 2,
    GLA_ROPE_YARN = 3,
    GLA_ROPE_LONGROPE = 4,
    GLA_ROPE_DYNAMIC = 5
} gla_rope_scaling;

struct gla_rope_spec {
    uint32_t struct_size;
    uint32_t dims;        /* the first so many numbers of a head are rotated; even */
    uint32_t interleaved; /* 0: rotate-half (i, i + dims/2); 1: pairs (2i, 2i + 1) */
    uint32_t scaling;     /* gla_rope_scaling */
    double theta;
    double factor; /* all but default; yarn, longrope: 0 = max_positions / original_positions */
    double low_freq_factor, high_freq_factor; /* llama3 */
    double original_positions, max_positions; /* llama3, yarn, longrope, dynamic */
    double beta_fast, beta_slow, mscale, mscale_all_dim, attention_factor; /* yarn; 0 = not given */
    const double *short_factor, *long_factor; /* longrope: [dims / 2] */
};

typedef enum gla_norm_kind {
    GLA_NORM_RMS = 1,    /* x / sqrt(mean(x^2) + eps) */
    GLA_NORM_LAYER = 2,  /* (x - mean) / sqrt(var + eps) */
    GLA_NORM_L2 = 3,     /* x / sqrt(sum(x^2) + eps) */
    GLA_NORM_SUM = 4,    /* x / (sum(x) + eps) */
    GLA_NORM_L2_MAX = 5, /* x / max(|x|, eps) */
    GLA_NORM_SOFTMAX = 6,
    GLA_NORM_L1_MAX = 7 /* x / max(sum |x|, eps); since 1.1 */
} gla_norm_kind;

/* Normalises groups of `width` consecutive numbers of each row, each group by itself. */
typedef struct gla_norm {
    uint32_t struct_size;
    uint32_t kind;             /* gla_norm_kind */
    uint32_t groups, width;    /* a row is groups * width numbers */
    uint32_t weight_per_group; /* 0: weight [width] serves all groups; 1: weight [groups * width] */
    uint32_t gate_activation;  /* with gate != NULL: y = norm(x) * act(gate) */
    uint32_t gate_first;       /* 1: y = norm(x * act(gate)) */
    float eps, weight_offset;  /* multiply by (weight_offset + weight) */
    const float *weight, *bias; /* NULL: 1 and 0 */
    const float *gate;          /* [rows, groups * width] or NULL */
    size_t ld_gate;
} gla_norm;

typedef enum gla_decay {
    GLA_DECAY_NONE = 0,
    GLA_DECAY_CONST = 1,   /* log_decay [H], the same for all tokens (ld_decay ignored)  */
    GLA_DECAY_HEAD = 2,    /* log_decay [rows, decay_heads]                              */
    GLA_DECAY_CHANNEL = 3, /* log_decay [rows, decay_heads, K]                           */
    GLA_DECAY_VALUE = 4    /* log_decay [rows, decay_heads, V]: per column of the state  */
} gla_decay;

typedef enum gla_write {
    GLA_WRITE_ADD = 0,   /* S = decay(S) + beta k v^T                                       */
    GLA_WRITE_DELTA = 1, /* S = decay(S); u = beta (v - S^T k); S += k u^T                  */
    GLA_WRITE_DPLR = 2   /* S = decay(S) + b (a^T S_before) + beta k v^T       (RWKV-7)     */
} gla_write;

typedef enum gla_normaliser {
    GLA_NORMALISER_NONE = 0,
    GLA_NORMALISER_SUM = 1, /* z = decay(z) + beta k; o /= scale q.z + eps                  */
    GLA_NORMALISER_MAX = 2  /* z as above; o /= max(|scale q.z|, eps)                       */
} gla_normaliser;

/* The one recurrence core.  Per sequence and head h, with S [K, V] zero at the start:
 *   S <- write(decay(S_before), k, v) ;  o = scale q^T S           (read_before = 0)
 *   o = scale q^T (S_before + diag(bonus) k v^T) ; S <- ...        (read_before = 1, RWKV-6)
 * Each operand may have fewer heads than H: head h reads operand head h / (H / n).
 * log_decay is log of the factor, <= 0 as a rule; every value of it is honoured.
 * The state index names a FIXED state [H, K, V] of the layer, z_state a FIXED [H, K]. */
typedef struct gla_recurrence {
    uint32_t struct_size;
    uint32_t decay, write, normaliser, read_before;
    uint32_t heads, k_dim, v_dim;
    uint32_t q_heads, k_heads, v_heads, decay_heads, beta_heads; /* 0 = heads */
    uint32_t state, z_state;
    float scale, eps;
    const float *q, *k, *v; /* [rows, q_heads * K], [rows, k_heads * K], [rows, v_heads * V] */
    const float *log_decay; /* see gla_decay */
    const float *beta;      /* [rows, beta_heads] or NULL = 1 */
    const float *a, *b;     /* DPLR: [rows, H * K] each */
    const float *bonus;     /* read_before: [H, K] or NULL = 0 */
    size_t ld_q, ld_k, ld_v, ld_decay, ld_beta, ld_a, ld_b, ld_o;
    float *o; /* [rows, H * V] */
} gla_recurrence;

/* Causal softmax attention over the PER_TOKEN state `state`: appends k and v of the new rows, then
 * attends to everything cached (and to the rows before in this batch), in streaming form. */
typedef struct gla_attention {
    uint32_t struct_size;
    uint32_t state;
    uint32_t heads; /* query heads, q_heads at most; the rest as declared by the state */
    float scale;
    float soft_cap;     /* 0 = none; scores = cap * tanh(scores / cap) */
    const float *sinks; /* [heads] extra logit in the denominator, or NULL */
    const float *q;     /* [rows, heads * k_dim], positions applied */
    const float *k;     /* [rows, kv_heads * k_dim], positions applied */
    const float *v;     /* [rows, kv_heads * v_dim]; ignored when the state has v_dim 0 */
    float *o;           /* [rows, heads * v_dim]; MLA: v_out_dim numbers per head */
    uint32_t
        v_out_dim; /* MLA (state v_dim 0): the first so many numbers of the key are the value */
    uint32_t reserved;
    size_t ld_q, ld_k, ld_v, ld_o;
} gla_attention;

/* Mamba's scan: h[i, n] = exp(dt_i A[i, n]) h[i, n] + dt_i B_n u_i ; y_i = sum_n C_n h[i, n] + D_i
 * u_i. State [N, I] (n slowest). */
typedef struct gla_selective_scan {
    uint32_t struct_size;
    uint32_t state;
    uint32_t inner, n_state; /* I, N */
    const float *u, *dt;     /* [rows, I] */
    const float *b, *c;      /* [rows, N] */
    const float *a;          /* [N, I], negative */
    const float *d;          /* [I] or NULL */
    size_t ld_u, ld_dt, ld_b, ld_c, ld_y;
    float *y; /* [rows, I]; may be u */
} gla_selective_scan;

/* Elementwise linear recurrence: h = exp(log_decay) h + x, y = h.  State [width].  ld_decay 0: the
 * same decay for all rows. */
typedef struct gla_scan {
    uint32_t struct_size;
    uint32_t state;
    uint32_t width;
    uint32_t reserved;
    const float *log_decay, *x; /* [rows, width] */
    size_t ld_decay, ld_x, ld_y;
    float *y; /* may be x */
} gla_scan;

/* ---- since 1.1 ---- */

/* y [r, g, i] = scale x [r, g, i] for groups of `width` numbers at a distance of their own. */
typedef struct gla_copy {
    uint32_t struct_size;
    uint32_t rows, groups, width;
    const float *x;
    float *y;
    size_t ld_x, ld_y;         /* between rows */
    size_t stride_x, stride_y; /* between groups; stride_x 0: the same numbers for all */
    float scale;               /* 0 = 1 */
    uint32_t reserved;
} gla_copy;

/* A factor for each group of numbers: mul() is y = f x, add() is y = y + f x, with f [r, g] for the
 * numbers [r, g, i], i < width.  groups 1: a factor a row; width 1: a factor a number; f NULL: 1.
 * ld_f 0, ld_x 0: the same for all rows (a weight). */
typedef struct gla_factor {
    uint32_t struct_size;
    uint32_t rows, groups, width;
    const float *x, *f;
    float *y; /* mul: may be x, or f when width is 1 */
    size_t ld_x, ld_f, ld_y;
} gla_factor;

typedef enum gla_router_score {
    GLA_SCORE_SOFTMAX = 0, /* softmax over the experts */
    GLA_SCORE_SIGMOID = 1,
    GLA_SCORE_SOFTMAX_TOP_K = 2 /* softmax over the logits of the chosen ones */
} gla_router_score;

/* Chooses experts.  s = score(logits); the top_k of s + bias, the first of equals, within the
 * top_groups best of `groups` groups of experts (a group counts as much as its two best together);
 * their s, which sum to 1 if `renormalise`, times `scaling`, are the weights.  Choice i of row r
 * takes row slot [r * top_k + i] of a batch sorted by expert, of which expert e has rows offset [e]
 * .. offset [e + 1], in the order of the rows. */
typedef struct gla_route {
    uint32_t struct_size;
    uint32_t rows, experts, top_k; /* top_k <= 64 */
    uint32_t score;                /* gla_router_score */
    uint32_t groups, top_groups;   /* 1, 1: no groups; 64 at most */
    uint32_t renormalise;
    float scaling;
    uint32_t reserved;
    const float *bias; /* [experts] or NULL; for choosing only */
    float *logits;     /* [rows, experts], ld_logits; becomes s, but for SOFTMAX_TOP_K */
    size_t ld_logits;
    uint32_t *slot;   /* [rows * top_k] */
    uint32_t *offset; /* [2 * experts + 2]; the second half is used meanwhile */
    float *weight;    /* [rows * top_k] */
} gla_route;

/* One operand of a layer's own row work. */
typedef struct gla_operand {
    const float *p;
    size_t ld;      /* between rows; 0: the same for all rows (a weight) */
    uint32_t width; /* numbers of a row */
    uint32_t use;   /* GLA_USE_* */
} gla_operand;
#define GLA_USE_READ       1u
#define GLA_USE_WRITE      2u
#define GLA_USE_READ_WRITE 3u

/* A layer's own row work, with its derivative.  fn computes rows [first, last) and touches nothing
 * but its operands, which it gets as at[i] (the first row of operand i; arg must not hold them).
 * vjp gets the operands as they were before (saved[i], of those that are read) and after (out[i],
 * of those that are written), and gradients grad[i] of the same shapes: it reads those of what was
 * written and adds to those of what was read; an operand that is both holds its output's gradient
 * and must be left with its input's.  For ld 0 the host gives each thread a grad of its own and
 * adds them up.  NULL: not trainable. */
typedef struct gla_rows {
    uint32_t struct_size;
    uint32_t operand_size; /* sizeof(gla_operand) */
    const gla_operand *operands;
    uint32_t n_operands; /* 16 at most */
    uint32_t rows;
    const void *arg; /* arg_bytes of it are copied by a recorder */
    uint32_t arg_bytes;
    /* 0: rows are independent and split as suits the host.  1: `rows` are pieces of work of any
     * kind (a head of a sequence, say) and operands are given whole. */
    uint32_t whole;
    void (*fn)(const void *arg, float *const *at, uint32_t first, uint32_t last);
    void (*vjp)(const void *arg, const float *const *saved, const float *const *out,
                float *const *grad, uint32_t first, uint32_t last);
} gla_rows;

#define GLA_HOST_MATH_ID "gla.host.math/1"
struct gla_math {
    uint32_t struct_size;
    uint32_t reserved;
    /* Creation: [control], in bind().  *out is NULL on failure. */
    gla_status (*linear_create)(const gla_host *h, const gla_linear_spec *spec, gla_linear **out);
    void (*linear_destroy)(gla_linear *l);
    gla_status (*conv_create)(const gla_host *h, const gla_conv_spec *spec, gla_conv **out);
    void (*conv_destroy)(gla_conv *c);
    gla_status (*rope_create)(const gla_host *h, const gla_rope_spec *spec, gla_rope **out);
    void (*rope_destroy)(gla_rope *r);

    /* Everything below: [exec].  The first error of a forward() sticks: what is called after it
     * does nothing and returns it, and the pass fails with it whatever forward() returns, so that a
     * layer need not check each call. */
    /* y [rows, out] = W x + b. */
    gla_status (*linear)(const gla_batch *b, const gla_linear *l, uint32_t rows, const float *x,
                         size_t ld_x, float *y, size_t ld_y);
    /* Rows are sorted by group: group g has rows offset[g] .. offset[g + 1].  (MoE) */
    gla_status (*linear_grouped)(const gla_batch *b, const gla_linear *l, const uint32_t *offset,
                                 const float *x, size_t ld_x, float *y, size_t ld_y);
    /* y[r] = row ids[r] of W, as f32.  Ids are in range. */
    gla_status (*gather)(const gla_batch *b, const gla_linear *l, uint32_t rows, const int32_t *ids,
                         float *y, size_t ld_y);
    /* Causal depthwise convolution; state [W - 1, C] holds the inputs before this batch; with W = 1
     * there is none, and the index is not looked at.  y may be x. */
    gla_status (*conv1d)(const gla_batch *b, const gla_conv *c, uint32_t state, const float *x,
                         size_t ld_x, float *y, size_t ld_y);
    gla_status (*recurrence)(const gla_batch *b, const gla_recurrence *r);
    gla_status (*attention)(const gla_batch *b, const gla_attention *a);
    gla_status (*selective_scan)(const gla_batch *b, const gla_selective_scan *s);
    gla_status (*scan)(const gla_batch *b, const gla_scan *s);
    /* In place: rotates `heads` heads of head_dim numbers in each row by the row's position. */
    gla_status (*rope)(const gla_batch *b, const gla_rope *r, uint32_t heads, uint32_t head_dim,
                       float *x, size_t ld_x);
    /* In place allowed. */
    gla_status (*norm)(const gla_batch *b, const gla_norm *n, uint32_t rows, const float *x,
                       size_t ld_x, float *y, size_t ld_y);
    /* y = act(x); in place allowed. */
    gla_status (*activation)(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                             const float *x, size_t ld_x, float *y, size_t ld_y);
    /* y = act(gate) * up; y may be gate or up. */
    gla_status (*glu)(const gla_batch *b, uint32_t act, uint32_t rows, uint32_t width,
                      const float *gate, size_t ld_gate, const float *up, size_t ld_up, float *y,
                      size_t ld_y);
    /* x *= factor. */
    gla_status (*scale)(const gla_batch *b, float factor, uint32_t rows, uint32_t width, float *x,
                        size_t ld_x);
    /* x[r, i] *= factors[i]. */
    gla_status (*scale_channels)(const gla_batch *b, const float *factors, uint32_t rows,
                                 uint32_t width, float *x, size_t ld_x);
    /* x = min(max(x, low), high); NaN stays. */
    gla_status (*clamp)(const gla_batch *b, float low, float high, uint32_t rows, uint32_t width,
                        float *x, size_t ld_x);
    /* fn(arg, first, last) over parts of the rows, on several threads: for a layer's own
     * elementwise work.  rows(), since 1.1, can be trained; this cannot. */
    gla_status (*for_rows)(const gla_batch *b, uint32_t rows,
                           void (*fn)(void *arg, uint32_t first, uint32_t last), void *arg);
    /* y [r] = the row before r in its sequence: x [r - 1], or the state [width] for the first one;
     * then state = last row.  Zero before the first token.  (RWKV's token shift) */
    gla_status (*shift)(const gla_batch *b, uint32_t state, uint32_t width, const float *x,
                        size_t ld_x, float *y, size_t ld_y);
    /* y = x + mu (other - x); ld_mu 0: the same mu for all rows; y may be x or other.  (RWKV: other
     * is what shift() gave) */
    gla_status (*mix)(const gla_batch *b, uint32_t rows, uint32_t width, const float *x,
                      size_t ld_x, const float *other, size_t ld_other, const float *mu,
                      size_t ld_mu, float *y, size_t ld_y);

    /* ---- since 1.1 ---- */
    gla_status (*copy)(const gla_batch *b, const gla_copy *c);
    gla_status (*add)(const gla_batch *b, const gla_factor *f);
    gla_status (*mul)(const gla_batch *b, const gla_factor *f);
    gla_status (*route)(const gla_batch *b, const gla_route *r);
    /* y [slot [r * k + i]] = x [r] for i < k.  (MoE: rows sorted by expert) */
    gla_status (*permute)(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                          const uint32_t *slot, const float *x, size_t ld_x, float *y, size_t ld_y);
    /* y [r] = sum over i < k of weight [r * k + i] x [slot [r * k + i]]. */
    gla_status (*combine_rows)(const gla_batch *b, uint32_t rows, uint32_t k, uint32_t width,
                               const uint32_t *slot, const float *weight, const float *x,
                               size_t ld_x, float *y, size_t ld_y);
    gla_status (*rows)(const gla_batch *b, const gla_rows *r);
};

/* ---- layer ------------------------------------------------------------- */

typedef struct gla_layer gla_layer; /* defined by the plugin */

typedef struct gla_layer_desc {
    uint32_t struct_size;
    uint32_t revision;   /* of the state layout, stored in snapshots */
    const char *type_id; /* "gla.attention/1"; third parties: "org.example.name/1" */
    const char *summary; /* one line, with the paper */
    uint64_t flags;      /* GLA_LAYER_* */
    const gla_param_desc *params;
    uint32_t n_params;
    uint32_t param_size; /* sizeof(gla_param_desc); 0: version 1.0's */

    /* 1.0: the layer owns its object.  All three NULL in a layer with layer_bytes.
     * Declares through cfg->declare.  On failure *out is NULL or an object that the host destroys.
     * [control] */
    gla_status (*create)(const gla_host *host, const gla_layer_config *cfg, gla_layer **out);
    void (*destroy)(gla_layer *layer); /* NULL allowed.  [control] */
    /* weights[i] is the i-th declared one; they stay valid and unchanged until destroy(). [control]
     */
    gla_status (*bind)(gla_layer *layer, const gla_tensor *weights);
    gla_status (*forward)(const gla_layer *layer, const gla_batch *batch); /* [exec] */
    /* NULL if unknown.  May itself be NULL.  [thread-safe] */
    const void *(*get_extension)(const gla_layer *layer, const char *id);

    /* ---- since 1.1 ---- */
    /* The object's size; the host allocates it zeroed, 64-byte aligned, and frees it.  forward()
     * must not write to it. */
    size_t layer_bytes;
    gla_status (*make)(gla_layer *layer, const gla_layer_config *cfg); /* [control] */
    /* Weights are there, or have changed: computes what no gla_expr can say.  May be NULL.
     * [control] */
    gla_status (*bound)(gla_layer *layer);
    const gla_param_desc *more; /* further parameters, shared with other layers; [n_more] */
    uint32_t n_more;
    uint32_t value_size;  /* sizeof(gla_param_value), as the plugin was compiled */
    uint32_t tensor_size; /* sizeof(gla_tensor), likewise */
    uint32_t reserved2;
} gla_layer_desc;

/* ---- entry ------------------------------------------------------------- */

/* Constant data, so the host checks it before it runs any function of the plugin. */
typedef struct gla_plugin_entry {
    uint32_t magic; /* GLA_PLUGIN_MAGIC */
    uint32_t struct_size;
    uint16_t abi_major, abi_minor;
    uint8_t pointer_bytes, max_dims, reserved[2];
    uint32_t tensor_size, batch_size, math_size,
        layer_desc_size; /* sizeof, as the plugin was compiled */
    const char *name, *version, *license;
    /* Before the first registry takes the layers, and after the last one that has them is gone: a
     * pair that may come several times in a process.  May be NULL.  [control] */
    gla_status (*init)(const gla_host *host);
    void (*deinit)(void);
    const gla_layer_desc *const *layers;
    uint32_t n_layers;
    uint32_t reserved2;
} gla_plugin_entry;

#define GLA_PLUGIN_ENTRY_SYMBOL "gla_plugin_entry_v1"

#ifdef GLA_PLUGIN_STATIC
#define GLA_PLUGIN_SYMBOL(id) gla_plugin_entry_v1_##id
#define GLA_PLUGIN_LINKAGE
#else
#define GLA_PLUGIN_SYMBOL(id) gla_plugin_entry_v1
#define GLA_PLUGIN_LINKAGE    GLA_PLUGIN_EXPORT
#endif

/* One line per plugin; the same source builds as a module or into the library.
 * layers_ is an array of const gla_layer_desc *. */
#define GLA_PLUGIN_DEFINE(id, version_, license_, init_, deinit_, layers_)                         \
    extern GLA_PLUGIN_LINKAGE const gla_plugin_entry GLA_PLUGIN_SYMBOL(id);                        \
    const gla_plugin_entry GLA_PLUGIN_SYMBOL(id) = {                                               \
        GLA_PLUGIN_MAGIC,                                                                          \
        (uint32_t)sizeof(gla_plugin_entry),                                                        \
        GLA_ABI_MAJOR,                                                                             \
        GLA_ABI_MINOR,                                                                             \
        (uint8_t)sizeof(void *),                                                                   \
        GLA_MAX_DIMS,                                                                              \
        {0, 0},                                                                                    \
        (uint32_t)sizeof(gla_tensor),                                                              \
        (uint32_t)sizeof(gla_batch),                                                               \
        (uint32_t)sizeof(gla_math),                                                                \
        (uint32_t)sizeof(gla_layer_desc),                                                          \
        #id,                                                                                       \
        version_,                                                                                  \
        license_,                                                                                  \
        init_,                                                                                     \
        deinit_,                                                                                   \
        layers_,                                                                                   \
        (uint32_t)(sizeof(layers_) / sizeof((layers_)[0])),                                        \
        0}

#ifdef __cplusplus
}
#endif
#endif /* GLA_PLUGIN_H */
