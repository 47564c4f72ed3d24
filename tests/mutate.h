/* Bytes changed in the ways in which files get damaged, or attacked. The same for the same state, so that a number
 * names a mutant. */
#ifndef TEST_MUTATE_H
#define TEST_MUTATE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUTATION_GROWTH 8 /* bytes that one mutation adds at most */

static inline uint32_t mutation_random(uint32_t *state, size_t below) {
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)*state * below >> 32);
}

/* A number that counts and lengths should not be, in 1, 2, 4 or 8 bytes and either order. */
static inline void mutate_number(uint32_t *state, uint8_t *to, size_t room) {
    static const uint64_t bold[] = {0,          1,         0x7f,
                                    0x80,       0xff,      0x7fff,
                                    0xffff,     INT32_MAX, (uint64_t)INT32_MAX + 1,
                                    UINT32_MAX, INT64_MAX, (uint64_t)INT64_MAX + 1,
                                    UINT64_MAX};
    const uint64_t value = bold[mutation_random(state, sizeof bold / sizeof *bold)];
    size_t bytes = (size_t)1 << mutation_random(state, 4);
    if (bytes > room) bytes = 1;
    const uint32_t big_endian = mutation_random(state, 2);
    for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)(value >> 8 * (big_endian ? bytes - 1 - i : i));
}

/* Changes some of the bytes, at least one of them there; returns the new length. */
static inline size_t mutate(uint32_t *state, uint8_t *bytes, size_t length) {
    static const uint8_t signs[] = {'"', '{', '[', ',', '9', '-', ' ', '\n'};
    const size_t at = mutation_random(state, length), much = 1 + mutation_random(state, MUTATION_GROWTH);
    const size_t n = at + much < length ? much : length - at;
    switch (mutation_random(state, 7)) {
    case 0:
        bytes[at] ^= (uint8_t)(1 << mutation_random(state, 8));
        return length;
    case 1:
        bytes[at] = signs[mutation_random(state, sizeof signs)];
        return length;
    case 2:
        mutate_number(state, bytes + at, length - at);
        return length;
    case 3: /* cut */
        return at ? at : 1;
    case 4:
        memmove(bytes + at, bytes + at + n, length - at - n);
        return length > n ? length - n : length;
    case 5:
        memmove(bytes + at + n, bytes + at, length - at);
        return length + n;
    default:
        for (size_t i = 0; i < n; i++) bytes[at + i] = (uint8_t)mutation_random(state, 256);
        return length;
    }
}

#endif
