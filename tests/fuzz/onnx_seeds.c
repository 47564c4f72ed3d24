/* Writes the models that fuzzing begins with into a folder: onnx_seeds DIR. */
#include "../onnx_seeds.h"
#include "../onnx_text.h"

int main(int argc, char **argv) {
    for (int i = 0; argc > 1 && i < ONNX_SEEDS; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%d.onnx", argv[1], i);
        bytes model = onnx_model(onnx_seeds[i]);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(model.data, 1, model.length, file) != model.length || fclose(file)) return 1;
        free(model.data);
    }
    return argc > 1 ? 0 : 1;
}
