/* Bytes on their way to products and back. */

#define HALF_BYTES (CP_VECTOR_BYTES / 2)
typedef uint8_t half_u8 __attribute__((vector_size(HALF_BYTES)));
typedef int8_t half_s8 __attribute__((vector_size(HALF_BYTES)));
typedef int16_t vec_short __attribute__((vector_size(CP_VECTOR_BYTES)));
typedef int16_t vec_short_unaligned __attribute__((vector_size(CP_VECTOR_BYTES), aligned(4), may_alias));

INLINE void widen_half(const uint8_t *from, int is_signed, vec_short zero, void *to) {
    half_u8 bytes;
    memcpy(&bytes, from, sizeof bytes);
    const vec_short wide =
        is_signed ? __builtin_convertvector((half_s8)bytes, vec_short) : __builtin_convertvector(bytes, vec_short);
    *(vec_short_unaligned *)to = (vec_short_unaligned)(wide - zero);
}

static void widen(const void *bytes, int is_signed, int zero, int64_t n, void *words) {
    const uint8_t *from = bytes;
    const vec_short all_zero = (vec_short){0} + (int16_t)zero;
    char *to = words;
    int64_t i = 0;
    for (; i + HALF_BYTES <= n; i += HALF_BYTES) widen_half(from + i, is_signed, all_zero, to + 2 * i);
    for (; i < n + n % 2; i++) {
        const int16_t one = i == n ? 0 : (int16_t)((is_signed ? (int8_t)from[i] : from[i]) - zero);
        memcpy(to + 2 * i, &one, sizeof one);
    }
}

/* Adding and taking away 1.5 * 2^23 leaves no fraction, in the CPU's rounding. */
INLINE void requantise_some(const cp_requantise *q, int64_t row, int64_t column, int count) {
    const vec low = (vec){0} + (float)(q->low - q->zero), high = (vec){0} + (float)(q->high - q->zero);
    const vec magic = (vec){0} + 12582912.0f;
    const vec_int sums = (vec_int)vec_load_some((const word *)q->sums + row * q->sums_step + column, count);
    vec value = __builtin_convertvector(sums, vec) * vec_load_some(q->scale + column, count);
    value = -vec_max(-vec_max(value, low), -high);
    const vec_int rounded = __builtin_convertvector(value + magic - magic, vec_int) + q->zero;
    vec_store_bytes((uint8_t *)q->y + row * q->y_step + column, rounded, count);
}

static void requantise(const cp_requantise *q) {
    for (int64_t row = 0; row < q->rows; row++) {
        int64_t column = 0;
        for (; column + CP_LANES <= q->columns; column += CP_LANES) requantise_some(q, row, column, CP_LANES);
        if (column < q->columns) requantise_some(q, row, column, vec_rest(q->columns - column));
    }
}
