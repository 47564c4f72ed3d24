/* The table of ONNX's operators: which there are, and what each becomes. */
#include "onnx/operators.h"

#include <string.h>

#define ROW(name, least, most, outputs, attributes, function, ours)                                                    \
    {name, least, most, outputs, attributes, function, ours},
static const cp_onnx_operator_row table[] = {CP_ONNX_OPERATORS(ROW)};
#undef ROW
enum { COUNT = sizeof table / sizeof *table };

const cp_onnx_operator_row *cp_onnx_operator_find(cp_bytes name) {
    for (int i = 0; i < COUNT; i++)
        if (cp_bytes_are(name, table[i].name)) return &table[i];
    return NULL;
}

bool cp_onnx_operator_at(cp_onnx_operator *found, int i) {
    if (!found || i < 0 || i >= COUNT) return false;
    *found = (cp_onnx_operator){.name = table[i].name, .operations = table[i].operators};
    return true;
}
