/* Numbers of two bytes, CP_F16 (IEEE 754's binary16) and CP_BF16 (the upper half of a float): for storage alone. */
#include "tensor/tensor.h"

#include <string.h>

/* A sign, bits of the exponent, bits of the fraction: 16 in all. */
typedef struct format {
    int exponent, fraction;
} format;

static const format binary16 = {5, 10}, bfloat16 = {8, 7};

static format format_of(cp_type type) {
    return type == CP_F16 ? binary16 : bfloat16;
}

static int bias_of(format f) {
    return (1 << (f.exponent - 1)) - 1;
}

/* The format's infinity; above it are the NaNs. */
static uint64_t infinity_of(format f) {
    return ((UINT64_C(1) << f.exponent) - 1) << f.fraction;
}

/* A double: 11 bits of exponent with the bias 1023, 52 of fraction. */
enum { DOUBLE_BIAS = 1023, DOUBLE_FRACTION = 52, DOUBLE_SPECIAL = 0x7ff };

static double double_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool cp_is_half(cp_type type) {
    return type == CP_F16 || type == CP_BF16;
}

double cp_half_to_double(uint16_t half, cp_type type) {
    const format f = format_of(type);
    const uint64_t sign = (uint64_t)(half >> 15) << 63;
    const uint64_t magnitude = half & 0x7fff, fraction = magnitude & ((UINT64_C(1) << f.fraction) - 1);
    const int exponent = (int)(magnitude >> f.fraction);
    if (magnitude >= infinity_of(f))
        return double_of(sign | (uint64_t)DOUBLE_SPECIAL << DOUBLE_FRACTION |
                         fraction << (DOUBLE_FRACTION - f.fraction));
    /* Denormals have the exponent of the smallest normal numbers, but no leading one. */
    const uint64_t significand = fraction | (uint64_t)(exponent > 0) << f.fraction;
    const int power = (exponent > 0 ? exponent : 1) - bias_of(f) - f.fraction;
    const double size = (double)significand * double_of((uint64_t)(power + DOUBLE_BIAS) << DOUBLE_FRACTION);
    return sign ? -size : size;
}

uint16_t cp_half_from_double(double value, cp_type type) {
    const format f = format_of(type);
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint16_t sign = (uint16_t)(bits >> 63 << 15);
    const uint64_t fraction = bits & ((UINT64_C(1) << DOUBLE_FRACTION) - 1);
    const int biased = (int)(bits >> DOUBLE_FRACTION & DOUBLE_SPECIAL);
    const int less = DOUBLE_FRACTION - f.fraction;
    if (biased == DOUBLE_SPECIAL) {
        /* A NaN stays one, and is quiet, even where the bits that made it one are lost. */
        const uint64_t quiet = fraction ? UINT64_C(1) << (f.fraction - 1) : 0;
        return (uint16_t)(sign | infinity_of(f) | quiet | fraction >> less);
    }
    const int exponent = biased - DOUBLE_BIAS + bias_of(f);
    const int shift = exponent > 0 ? less : less + 1 - exponent; /* a denormal loses more */
    if (shift > DOUBLE_FRACTION + 1) return sign;                /* below half of the smallest number */
    const uint64_t significand = fraction | UINT64_C(1) << DOUBLE_FRACTION;
    uint64_t kept = significand >> shift;
    const uint64_t lost = significand & ((UINT64_C(1) << shift) - 1), middle = UINT64_C(1) << (shift - 1);
    kept += lost > middle || (lost == middle && kept & 1);
    /* What rounding carries goes on into the exponent: to the next power of two, and at last to infinity. */
    const uint64_t magnitude = kept + ((uint64_t)(exponent > 1 ? exponent - 1 : 0) << f.fraction);
    return (uint16_t)(sign | (magnitude < infinity_of(f) ? magnitude : infinity_of(f)));
}
