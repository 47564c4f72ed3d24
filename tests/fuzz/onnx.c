/* libFuzzer's way in: any bytes as an ONNX file. */
#include "../onnx_try.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length) {
    load_and_try(data, length);
    return 0;
}
