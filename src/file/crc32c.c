/* CRC-32C (Castagnoli; RFC 3720), eight bytes at a time through eight tables (Kounavis and Berry 2005). */
#include "file/file.h"

#include <string.h>

/* The checksum is linear over the bits, so each table follows from the checksums of single bits. Bn is that of a one
 * with n bits behind it: each one step of the division further than the one before. */
#define STEP(crc) ((crc)&1 ? 0x82F63B78u ^ (crc) >> 1 : (crc) >> 1)
/* clang-format off */
enum {
    B0 = 0x82F63B78u, /* the polynomial, its bits reversed */
    B1 = STEP(B0), B2 = STEP(B1), B3 = STEP(B2),
    B4 = STEP(B3), B5 = STEP(B4), B6 = STEP(B5), B7 = STEP(B6),
    B8 = STEP(B7), B9 = STEP(B8), B10 = STEP(B9), B11 = STEP(B10),
    B12 = STEP(B11), B13 = STEP(B12), B14 = STEP(B13), B15 = STEP(B14),
    B16 = STEP(B15), B17 = STEP(B16), B18 = STEP(B17), B19 = STEP(B18),
    B20 = STEP(B19), B21 = STEP(B20), B22 = STEP(B21), B23 = STEP(B22),
    B24 = STEP(B23), B25 = STEP(B24), B26 = STEP(B25), B27 = STEP(B26),
    B28 = STEP(B27), B29 = STEP(B28), B30 = STEP(B29), B31 = STEP(B30),
    B32 = STEP(B31), B33 = STEP(B32), B34 = STEP(B33), B35 = STEP(B34),
    B36 = STEP(B35), B37 = STEP(B36), B38 = STEP(B37), B39 = STEP(B38),
    B40 = STEP(B39), B41 = STEP(B40), B42 = STEP(B41), B43 = STEP(B42),
    B44 = STEP(B43), B45 = STEP(B44), B46 = STEP(B45), B47 = STEP(B46),
    B48 = STEP(B47), B49 = STEP(B48), B50 = STEP(B49), B51 = STEP(B50),
    B52 = STEP(B51), B53 = STEP(B52), B54 = STEP(B53), B55 = STEP(B54),
    B56 = STEP(B55), B57 = STEP(B56), B58 = STEP(B57), B59 = STEP(B58),
    B60 = STEP(B59), B61 = STEP(B60), B62 = STEP(B61), B63 = STEP(B62)
};
/* clang-format on */

#define BIT(byte, bit, crc) ((byte) >> (bit)&1 ? (crc) : 0u)
#define ENTRY(byte, b7, b6, b5, b4, b3, b2, b1, b0)                                                                    \
    (BIT(byte, 7, b7) ^ BIT(byte, 6, b6) ^ BIT(byte, 5, b5) ^ BIT(byte, 4, b4) ^ BIT(byte, 3, b3) ^ BIT(byte, 2, b2) ^ \
     BIT(byte, 1, b1) ^ BIT(byte, 0, b0))
#define ENTRIES4(byte, ...)                                                                                            \
    ENTRY(byte, __VA_ARGS__), ENTRY((byte) + 1, __VA_ARGS__), ENTRY((byte) + 2, __VA_ARGS__),                          \
        ENTRY((byte) + 3, __VA_ARGS__)
#define ENTRIES16(byte, ...)                                                                                           \
    ENTRIES4(byte, __VA_ARGS__), ENTRIES4((byte) + 4, __VA_ARGS__), ENTRIES4((byte) + 8, __VA_ARGS__),                 \
        ENTRIES4((byte) + 12, __VA_ARGS__)
#define ENTRIES64(byte, ...)                                                                                           \
    ENTRIES16(byte, __VA_ARGS__), ENTRIES16((byte) + 16, __VA_ARGS__), ENTRIES16((byte) + 32, __VA_ARGS__),            \
        ENTRIES16((byte) + 48, __VA_ARGS__)
#define TABLE(...)                                                                                                     \
    { ENTRIES64(0, __VA_ARGS__), ENTRIES64(64, __VA_ARGS__), ENTRIES64(128, __VA_ARGS__), ENTRIES64(192, __VA_ARGS__) }

/* tables[n]: what a byte with n bytes behind it adds to the checksum */
static const uint32_t tables[8][256] = {
    TABLE(B0, B1, B2, B3, B4, B5, B6, B7),         TABLE(B8, B9, B10, B11, B12, B13, B14, B15),
    TABLE(B16, B17, B18, B19, B20, B21, B22, B23), TABLE(B24, B25, B26, B27, B28, B29, B30, B31),
    TABLE(B32, B33, B34, B35, B36, B37, B38, B39), TABLE(B40, B41, B42, B43, B44, B45, B46, B47),
    TABLE(B48, B49, B50, B51, B52, B53, B54, B55), TABLE(B56, B57, B58, B59, B60, B61, B62, B63),
};

static uint32_t by_tables(uint32_t crc, const void *data, int64_t bytes) {
    const uint8_t *byte = data;
    for (; bytes >= 8; bytes -= 8, byte += 8) {
        uint32_t low, high;
        memcpy(&low, byte, 4);
        memcpy(&high, byte + 4, 4);
        low ^= crc;
        crc = tables[7][low & 255] ^ tables[6][low >> 8 & 255] ^ tables[5][low >> 16 & 255] ^ tables[4][low >> 24] ^
              tables[3][high & 255] ^ tables[2][high >> 8 & 255] ^ tables[1][high >> 16 & 255] ^ tables[0][high >> 24];
    }
    for (; bytes > 0; bytes--, byte++) crc = crc >> 8 ^ tables[0][(crc ^ *byte) & 255];
    return crc;
}

#if defined(__x86_64__)
/* The product of two polynomials modulo that of the checksum, all with their bits reversed: 1 is the highest bit. */
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        if (a & bit) product ^= b;
        b = STEP(b);
    }
    return product;
}

/* What a checksum becomes behind `bytes` zeros: times x^(8*bytes), by repeated squaring. */
static uint32_t shift(uint32_t crc, int64_t bytes) {
    uint32_t square = 1u << 23; /* x^8 */
    for (; bytes; bytes >>= 1) {
        if (bytes & 1) crc = multiply(crc, square);
        square = multiply(square, square);
    }
    return crc;
}

/* By the instruction that exists for it: eight bytes, the result three cycles later. */
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const void *data, int64_t bytes) {
    const uint8_t *byte = data;
    uint64_t sum = crc;
    for (; bytes >= 8; bytes -= 8, byte += 8) {
        uint64_t word;
        memcpy(&word, byte, 8);
        sum = __builtin_ia32_crc32di(sum, word);
    }
    for (; bytes > 0; bytes--, byte++) sum = __builtin_ia32_crc32qi((uint32_t)sum, *byte);
    return (uint32_t)sum;
}

/* Three thirds at once, so that none waits for its own result; they are put together as the checksum is linear. */
__attribute__((target("sse4.2"))) static uint32_t by_thirds(uint32_t crc, const void *data, int64_t bytes) {
    const int64_t third = bytes / 24 * 8;
    const uint8_t *byte = data;
    uint64_t sum[3] = {crc, 0, 0};
    for (int64_t i = 0; i < third; i += 8)
        for (int t = 0; t < 3; t++) {
            uint64_t word;
            memcpy(&word, byte + t * third + i, 8);
            sum[t] = __builtin_ia32_crc32di(sum[t], word);
        }
    const uint32_t two = shift((uint32_t)sum[0], third) ^ (uint32_t)sum[1];
    return by_instruction(shift(two, third) ^ (uint32_t)sum[2], byte + 3 * third, bytes - 3 * third);
}
#endif

uint32_t cp_crc32c(uint32_t crc, const void *data, int64_t bytes) {
#if defined(__x86_64__)
    enum { LONG = 1 << 14 }; /* putting thirds together takes as long as a few thousand bytes */
    if (__builtin_cpu_supports("sse4.2"))
        return ~(bytes >= LONG ? by_thirds(~crc, data, bytes) : by_instruction(~crc, data, bytes));
#endif
    return ~by_tables(~crc, data, bytes);
}
