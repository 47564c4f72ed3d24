/* A vector of floats as wide as the level's registers, and the few operations that the vector extensions of the C
 * compilers have no word for: the only intrinsics of the kernels are here. */
#ifndef CP_VEC_H
#define CP_VEC_H

#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#define CP_LANES (CP_VECTOR_BYTES / 4)
#define INLINE static inline __attribute__((always_inline))

/* Unrolls the next loop completely, where its length is a constant of at most 16: arrays of vectors that only such
 * loops index stay in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
/* The same for a loop whose length is a constant only in some copies of an inline function. clang sees by itself. */
#if defined(__clang__)
#define UNROLL_IF_CONSTANT
#else
#define UNROLL_IF_CONSTANT _Pragma("GCC unroll 9")
#endif

typedef float vec __attribute__((vector_size(CP_VECTOR_BYTES)));
typedef float vec_unaligned __attribute__((vector_size(CP_VECTOR_BYTES), aligned(4), may_alias));
typedef int32_t vec_int __attribute__((vector_size(CP_VECTOR_BYTES)));
/* A word of whatever kind, and a vector of them: moved as they are. */
typedef float word __attribute__((may_alias));
typedef float word_anywhere __attribute__((may_alias, aligned(1)));
typedef float vec_words __attribute__((vector_size(CP_VECTOR_BYTES), may_alias));

INLINE vec vec_load(const float *p) {
    return (vec) * (const vec_unaligned *)p;
}
INLINE void vec_store(float *p, vec v) {
    *(vec_unaligned *)p = (vec_unaligned)v;
}

/* --- per instruction set ---
 * vec_load_part, vec_store_part: the first count lanes, 1 <= count <= CP_LANES; the others load as 0.
 * vec_multiply_add: a * b + sum, rounded once where the level can: said, not left to the compiler, so that the same sum
 * has the same bits on all paths.
 * vec_max: a > b ? a : b in each lane, so b where either is NaN.
 * vec_mask: a truth for each lane, combined by & | ~. vec_index: a byte for each lane, in the form that meets masks
 * best.
 * vec_stream: a store to an aligned address that goes past the caches, where there is one; other threads see it after
 * vec_stream_fence. */
#if CP_LANES == 16

typedef __mmask16 vec_mask;
typedef __m128i vec_index;

INLINE __mmask16 vec_first(int count) {
    return (__mmask16)((1u << count) - 1);
}
INLINE vec vec_load_part(const float *p, int count) {
    return (vec)_mm512_maskz_loadu_ps(vec_first(count), p);
}
INLINE void vec_store_part(float *p, vec v, int count) {
    _mm512_mask_storeu_ps(p, vec_first(count), (__m512)v);
}
INLINE vec vec_all(float value) {
    return (vec)_mm512_set1_ps(value);
}
INLINE vec vec_multiply_add(vec a, vec b, vec sum) {
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)sum);
}
INLINE vec vec_max(vec a, vec b) {
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
}
INLINE vec vec_sqrt(vec v) {
    return (vec)_mm512_sqrt_ps((__m512)v);
}
/* Lane l of the result is lane from[l] of v. */
INLINE vec vec_permute(vec v, vec_int from) {
    return (vec)_mm512_permutexvar_ps((__m512i)from, (__m512)v);
}

INLINE vec_mask vec_greater(vec a, vec b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_GT_OQ);
}
INLINE vec_mask vec_unordered(vec a, vec b) {
    return _mm512_cmp_ps_mask((__m512)a, (__m512)b, _CMP_UNORD_Q);
}
INLINE vec vec_select(vec_mask mask, vec a, vec b) {
    return (vec)_mm512_mask_mov_ps((__m512)b, mask, (__m512)a);
}
INLINE vec vec_keep(vec_mask mask, vec v) {
    return (vec)_mm512_maskz_mov_ps(mask, (__m512)v);
}
INLINE int vec_any(vec_mask mask) {
    return mask != 0;
}

INLINE vec_index index_all(uint8_t id) {
    return _mm_set1_epi8((char)id);
}
INLINE vec_index index_load(const uint8_t *p, int count) {
    return count == CP_LANES ? _mm_loadu_si128((const void *)p) : _mm_maskz_loadu_epi8(vec_first(count), p);
}
INLINE void index_store(uint8_t *p, vec_index v, int count) {
    if (count == CP_LANES)
        _mm_storeu_si128((void *)p, v);
    else
        _mm_mask_storeu_epi8(p, vec_first(count), v);
}
INLINE vec_index index_select(vec_mask mask, vec_index a, vec_index b) {
    return _mm_mask_mov_epi8(b, mask, a);
}
INLINE vec_mask index_equal(vec_index v, uint8_t id) {
    return _mm_cmpeq_epi8_mask(v, index_all(id));
}

#else

typedef vec_int vec_mask;
typedef vec_int vec_index;
typedef uint8_t vec_bytes __attribute__((vector_size(CP_LANES)));

#if CP_LANES == 8

INLINE __m256i vec_first(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE vec vec_load_part(const float *p, int count) {
    return (vec)_mm256_maskload_ps(p, vec_first(count));
}
INLINE void vec_store_part(float *p, vec v, int count) {
    _mm256_maskstore_ps(p, vec_first(count), (__m256)v);
}
INLINE vec vec_all(float value) {
    return (vec)_mm256_set1_ps(value);
}
INLINE vec vec_multiply_add(vec a, vec b, vec sum) {
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)sum);
}
INLINE vec vec_max(vec a, vec b) {
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
}
INLINE vec vec_sqrt(vec v) {
    return (vec)_mm256_sqrt_ps((__m256)v);
}
INLINE vec vec_permute(vec v, vec_int from) {
    return (vec)_mm256_permutevar8x32_ps((__m256)v, (__m256i)from);
}
INLINE vec_mask vec_unordered(vec a, vec b) {
    return (vec_mask)_mm256_cmp_ps((__m256)a, (__m256)b, _CMP_UNORD_Q);
}
INLINE int vec_any(vec_mask mask) {
    return _mm256_movemask_ps((__m256)mask) != 0;
}
INLINE vec_int vec_widen(vec_bytes bytes) {
    return (vec_int)_mm256_cvtepu8_epi32(_mm_cvtsi64_si128((int64_t)bytes));
}
INLINE vec_bytes vec_narrow(vec_int v) {
    __m128i low = _mm256_castsi256_si128((__m256i)v), high = _mm256_extracti128_si256((__m256i)v, 1);
    __m128i words = _mm_packs_epi32(low, high);
    return (vec_bytes)_mm_cvtsi128_si64(_mm_packus_epi16(words, words));
}

#else

INLINE vec vec_load_part(const float *p, int count) {
    vec v = {p[0]};
    if (count > 1) v[1] = p[1];
    if (count > 2) v[2] = p[2];
    if (count > 3) v[3] = p[3];
    return v;
}
INLINE void vec_store_part(float *p, vec v, int count) {
    p[0] = v[0];
    if (count > 1) p[1] = v[1];
    if (count > 2) p[2] = v[2];
    if (count > 3) p[3] = v[3];
}
INLINE vec vec_all(float value) {
    return (vec){value, value, value, value};
}
INLINE vec vec_multiply_add(vec a, vec b, vec sum) {
    return a * b + sum;
}

#if defined(__SSE2__)
INLINE vec vec_max(vec a, vec b) {
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
}
INLINE vec vec_sqrt(vec v) {
    return (vec)_mm_sqrt_ps((__m128)v);
}
INLINE vec_mask vec_unordered(vec a, vec b) {
    return (vec_mask)_mm_cmpunord_ps((__m128)a, (__m128)b);
}
INLINE int vec_any(vec_mask mask) {
    return _mm_movemask_ps((__m128)mask) != 0;
}
INLINE vec_int vec_widen(vec_bytes bytes) {
    __m128i zero = _mm_setzero_si128(), words = _mm_unpacklo_epi8(_mm_cvtsi32_si128((int32_t)bytes), zero);
    return (vec_int)_mm_unpacklo_epi16(words, zero);
}
INLINE vec_bytes vec_narrow(vec_int v) {
    __m128i words = _mm_packs_epi32((__m128i)v, (__m128i)v);
    return (vec_bytes)_mm_cvtsi128_si32(_mm_packus_epi16(words, words));
}
#else
INLINE vec vec_max(vec a, vec b) {
    vec_int greater = a > b;
    return (vec)((greater & (vec_int)a) | (~greater & (vec_int)b));
}
INLINE vec vec_sqrt(vec v) {
    for (int i = 0; i < CP_LANES; i++) v[i] = __builtin_sqrtf(v[i]);
    return v;
}
INLINE vec_mask vec_unordered(vec a, vec b) {
    return (a != a) | (b != b);
}
INLINE int vec_any(vec_mask mask) {
    return (mask[0] | mask[1] | mask[2] | mask[3]) != 0;
}
INLINE vec_int vec_widen(vec_bytes bytes) {
    return __builtin_convertvector(bytes, vec_int);
}
INLINE vec_bytes vec_narrow(vec_int v) {
    return __builtin_convertvector(v, vec_bytes);
}
#endif
#endif

INLINE vec_mask vec_greater(vec a, vec b) {
    return a > b;
}
INLINE vec vec_select(vec_mask mask, vec a, vec b) {
    return (vec)((mask & (vec_int)a) | (~mask & (vec_int)b));
}
INLINE vec vec_keep(vec_mask mask, vec v) {
    return (vec)(mask & (vec_int)v);
}

INLINE vec_index index_all(uint8_t id) {
    return (vec_int){0} + id;
}
INLINE vec_index index_load(const uint8_t *p, int count) {
    vec_bytes bytes = {0};
    if (count == CP_LANES)
        memcpy(&bytes, p, CP_LANES);
    else
        for (int i = 0; i < count; i++) bytes[i] = p[i];
    return vec_widen(bytes);
}
INLINE void index_store(uint8_t *p, vec_index v, int count) {
    vec_bytes bytes = vec_narrow(v);
    if (count == CP_LANES)
        memcpy(p, &bytes, CP_LANES);
    else
        for (int i = 0; i < count; i++) p[i] = bytes[i];
}
INLINE vec_index index_select(vec_mask mask, vec_index a, vec_index b) {
    return (mask & a) | (~mask & b);
}
INLINE vec_mask index_equal(vec_index v, uint8_t id) {
    return v == (vec_int){0} + id;
}

#endif

/* --- words that hold several numbers ---
 * sum + the products of the numbers in the words of x with those in w, in each lane: two s16 each, exactly but modulo
 * 2^32; four u8 in x by four s8 in w, exactly; two bf16, rounded as the CPU does. */
#if defined(__AVX512VNNI__)
INLINE vec vec_add_bytes(vec x, vec w, vec sum) {
    return (vec)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)x, (__m512i)w);
}
#endif
#if CP_LANES == 16
INLINE vec vec_add_shorts(vec x, vec w, vec sum) {
    return (vec)_mm512_add_epi32((__m512i)sum, _mm512_madd_epi16((__m512i)x, (__m512i)w));
}
#elif CP_LANES == 8
INLINE vec vec_add_shorts(vec x, vec w, vec sum) {
    return (vec)_mm256_add_epi32((__m256i)sum, _mm256_madd_epi16((__m256i)x, (__m256i)w));
}
#elif defined(__SSE2__)
INLINE vec vec_add_shorts(vec x, vec w, vec sum) {
    return (vec)_mm_add_epi32((__m128i)sum, _mm_madd_epi16((__m128i)x, (__m128i)w));
}
#else
INLINE vec vec_add_shorts(vec x, vec w, vec sum) {
    typedef uint32_t words __attribute__((vector_size(CP_VECTOR_BYTES)));
    const vec_int low = ((vec_int)x << 16 >> 16) * ((vec_int)w << 16 >> 16),
                  high = ((vec_int)x >> 16) * ((vec_int)w >> 16);
    return (vec)((words)sum + (words)low + (words)high);
}
#endif
#if defined(__AVX512BF16__)
INLINE vec vec_add_bf16(vec x, vec w, vec sum) {
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)w);
}
#endif

/* --- for all --- */

INLINE vec vec_load_some(const float *p, int count) {
    return count == CP_LANES ? vec_load(p) : vec_load_part(p, count);
}
INLINE void vec_store_some(float *p, vec v, int count) {
    if (count == CP_LANES)
        vec_store(p, v);
    else
        vec_store_part(p, v, count);
}
/* The lowest byte of each lane. */
INLINE void vec_store_bytes(uint8_t *p, vec_int v, int count) {
#if CP_LANES == 16
    index_store(p, _mm512_cvtepi32_epi8((__m512i)v), count);
#else
    index_store(p, v & 255, count);
#endif
}
/* What is left behind the last whole vector, in a form that lets the compiler leave out the whole ones. */
INLINE int vec_rest(int64_t left) {
    if (left <= 0 || left >= CP_LANES) __builtin_unreachable();
    return (int)left;
}
/* max(0, v); NaN stays NaN. */
INLINE vec vec_relu(vec v) {
    return vec_max((vec){0}, v);
}

/* The first and the second half of a0 b0 a1 b1 a2 b2 ... */
#if CP_LANES == 16
#define VEC_INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define VEC_INTERLEAVE_HIGH(a, b)                                                                                      \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif CP_LANES == 8
#define VEC_INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define VEC_INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define VEC_INTERLEAVE_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define VEC_INTERLEAVE_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

#if CP_LANES == 16
INLINE void vec_stream(float *p, vec v) {
    _mm512_stream_ps(p, (__m512)v);
}
#elif CP_LANES == 8
INLINE void vec_stream(float *p, vec v) {
    _mm256_stream_ps(p, (__m256)v);
}
#elif defined(__SSE2__)
INLINE void vec_stream(float *p, vec v) {
    _mm_stream_ps(p, (__m128)v);
}
#else
INLINE void vec_stream(float *p, vec v) {
    *(vec *)p = v;
}
#endif
INLINE void vec_stream_fence(void) {
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* Of a square of words its transpose: log2(lanes) times the same step, row 2i and 2i+1 become the interleaving of rows
 * i and i + lanes/2. */
INLINE void vec_transpose(vec v[CP_LANES]) {
    UNROLL for (int step = 1; step < CP_LANES; step *= 2) {
        vec mixed[CP_LANES];
        UNROLL for (int i = 0; i < CP_LANES / 2; i++) {
            mixed[2 * i] = VEC_INTERLEAVE_LOW(v[i], v[i + CP_LANES / 2]);
            mixed[2 * i + 1] = VEC_INTERLEAVE_HIGH(v[i], v[i + CP_LANES / 2]);
        }
        UNROLL for (int i = 0; i < CP_LANES; i++) v[i] = mixed[i];
    }
}

/* Half a vector of floats fills a vector of doubles. */
typedef double vec_double __attribute__((vector_size(CP_VECTOR_BYTES)));
typedef float vec_half __attribute__((vector_size(CP_VECTOR_BYTES / 2)));

INLINE void vec_widen_halves(vec v, vec_double halves[2]) {
    vec_half half[2];
    memcpy(half, &v, sizeof half);
    halves[0] = __builtin_convertvector(half[0], vec_double);
    halves[1] = __builtin_convertvector(half[1], vec_double);
}

/* The mode in which denormal numbers are read and written as 0, where there is one; what it was before, to be restored.
 */
#if defined(__SSE2__)
INLINE unsigned denormals_flush(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | _MM_FLUSH_ZERO_ON | 0x0040 /* denormals are zeros */);
    return before;
}
INLINE void denormals_restore(unsigned before) {
    _mm_setcsr(before);
}
#else
INLINE unsigned denormals_flush(void) {
    return 0;
}
INLINE void denormals_restore(unsigned before) {
    (void)before;
}
#endif

#endif
