/* The same numbers in another type: a loop for each pair of types. */
#include "plan/algos.h"

#include <math.h>

/* As cp_ref_cast: fractions are cut off, what lies outside becomes the nearest number, NaN 0. */
#define CUT(name, T, least, above, most)                                                                               \
    static inline T name(double x) {                                                                                   \
        return x >= (above) ? (T)(most) : x > (least) ? (T)x : isnan(x) ? 0 : (T)(least);                              \
    }
CUT(cut_i32, int32_t, -0x1p31, 0x1p31, INT32_MAX)
CUT(cut_i64, int64_t, -0x1p63, 0x1p63, INT64_MAX)
CUT(cut_u8, uint8_t, 0, 0x1p8, UINT8_MAX)
CUT(cut_i8, int8_t, -0x1p7, 0x1p7, INT8_MAX)

#define LOOP(From, To, convert)                                                                                        \
    for (int64_t e = first; e < last; e++) {                                                                           \
        const From x = ((const From *)in)[e];                                                                          \
        ((To *)out)[e] = convert;                                                                                      \
    }                                                                                                                  \
    break
#define FROM_REAL(From)                                                                                                \
    switch (to) {                                                                                                      \
    case CP_F32:                                                                                                       \
        LOOP(From, float, (float)x);                                                                                   \
    case CP_F64:                                                                                                       \
        LOOP(From, double, x);                                                                                         \
    case CP_I32:                                                                                                       \
        LOOP(From, int32_t, cut_i32(x));                                                                               \
    case CP_I64:                                                                                                       \
        LOOP(From, int64_t, cut_i64(x));                                                                               \
    case CP_U8:                                                                                                        \
        LOOP(From, uint8_t, cut_u8(x));                                                                                \
    case CP_I8:                                                                                                        \
        LOOP(From, int8_t, cut_i8(x));                                                                                 \
    default:                                                                                                           \
        LOOP(From, uint8_t, x != 0);                                                                                   \
    }                                                                                                                  \
    break
#define FROM_INTEGER(From)                                                                                             \
    switch (to) {                                                                                                      \
    case CP_F32:                                                                                                       \
        LOOP(From, float, (float)x);                                                                                   \
    case CP_F64:                                                                                                       \
        LOOP(From, double, (double)x);                                                                                 \
    case CP_I32:                                                                                                       \
        LOOP(From, int32_t, (int32_t)x);                                                                               \
    case CP_I64:                                                                                                       \
        LOOP(From, int64_t, x);                                                                                        \
    case CP_U8:                                                                                                        \
        LOOP(From, uint8_t, (uint8_t)x);                                                                               \
    case CP_I8:                                                                                                        \
        LOOP(From, int8_t, (int8_t)x);                                                                                 \
    default:                                                                                                           \
        LOOP(From, uint8_t, x != 0);                                                                                   \
    }                                                                                                                  \
    break

static void run(const cp_call *call, int phase, int id, int n) {
    (void)phase;
    const cp_type to = call->problem->out_type[0];
    const void *in = call->in[0];
    void *out = call->out[0];
    int64_t first, last;
    cp_share(cp_shape_count(call->problem->out[0]), id, n, &first, &last);
    switch (call->problem->in_type[0]) {
    case CP_F32:
        FROM_REAL(float);
    case CP_F64:
        FROM_REAL(double);
    case CP_I32:
        FROM_INTEGER(int32_t);
    case CP_I64:
        FROM_INTEGER(int64_t);
    case CP_I8:
        FROM_INTEGER(int8_t);
    default:
        FROM_INTEGER(uint8_t);
    }
}

const cp_algo cp_algo_cast_loops = {.name = "loops", .run = run};
