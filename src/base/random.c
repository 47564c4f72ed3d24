/* Random numbers: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011).
 * The key is the seed, the counter is index, stream and step: every number is a function of its place. */
#include "base/base.h"

#include <math.h>

/* Wide arithmetic and casts where the algorithm means arithmetic modulo 2^32. */
void cp_random_block(const cp_random_key *key, uint32_t index, uint32_t out[4]) {
    uint32_t k0 = (uint32_t)key->seed, k1 = (uint32_t)(key->seed >> 32);
    uint32_t c0 = index, c1 = key->stream, c2 = (uint32_t)key->step, c3 = (uint32_t)(key->step >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)c0 * 0xD2511F53u, p1 = (uint64_t)c2 * 0xCD9E8D57u;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        k0 = (uint32_t)((uint64_t)k0 + 0x9E3779B9u);
        k1 = (uint32_t)((uint64_t)k1 + 0xBB67AE85u);
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t cp_random_bits(const cp_random_key *key, uint64_t i) {
    uint32_t block[4];
    cp_random_block(key, (uint32_t)(i / 4), block);
    return block[i % 4];
}

float cp_random_uniform(const cp_random_key *key, uint64_t i) {
    return (float)(cp_random_bits(key, i) >> 8) * 0x1p-24f;
}

/* Two uniform numbers make two normal ones: the even with the cosine, the odd with the sine. In double, so that the
 * result hardly depends on the C library's last bit. */
float cp_random_normal(const cp_random_key *key, uint64_t i) {
    uint32_t block[4];
    cp_random_block(key, (uint32_t)(i / 4), block);
    const uint32_t *pair = block + (i % 4 & 2);
    double radius = sqrt(-2 * log((pair[0] + 1.0) * 0x1p-32)); /* of (0,1]: never the logarithm of 0 */
    double angle = 6.283185307179586477 * (pair[1] * 0x1p-32);
    return (float)(radius * (i % 2 ? sin(angle) : cos(angle)));
}

/* A number below `limit` from 64 random bits, floor(bits * limit / 2^64): biased by less than 2^-32. */
static int64_t below(const cp_random_key *key, uint32_t index, uint64_t limit) {
    uint32_t block[4];
    cp_random_block(key, index, block);
    return (int64_t)((block[0] * limit + (block[1] * limit >> 32)) >> 32);
}

void cp_random_permutation(const cp_random_key *key, int64_t n, int64_t *order) {
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = below(key, (uint32_t)i, (uint64_t)i + 1), swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}
