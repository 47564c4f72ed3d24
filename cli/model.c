/* Models, and what the tool keeps in their notes. */
#include "args.h"

#include <string.h>

int build_net(cp_net **net, cp_shape input, const char *text) {
    cp_status status = cp_net_new(net);
    if (status) return fail_library(status);
    const cp_node x = cp_net_input(*net, "image", CP_F32, input);
    cp_net_output(*net, cp_net_parse(*net, x, text), "logits");
    const char *reason;
    status = cp_net_error(*net, &reason);
    if (!status) return STATUS_OK;
    const int result = fail(exit_status(status), "%s", reason);
    cp_net_free(*net);
    *net = NULL;
    return result;
}

int load_net(cp_net **net, const char *path) {
    const cp_status status =
        is_onnx(path) ? cp_onnx_load(net, path, NULL) : cp_net_load(net, strcmp(path, "-") ? path : "/dev/stdin");
    return status ? fail_library(status) : STATUS_OK;
}

void class_name(const cp_net *net, int class, char name[PLAIN_TEXT]) {
    const char *note = cp_net_note(net, NOTE_CLASSES);
    json_t *names = note ? json_loads(note, 0, NULL) : NULL;
    const char *text = json_string_value(json_array_get(names, (size_t) class));
    if (text) {
        plain(text, name);
    } else {
        snprintf(name, PLAIN_TEXT, "%d", class);
    }
    json_decref(names);
}

ink model_ink(const cp_net *net) {
    const char *note = cp_net_note(net, NOTE_INK);
    if (note && !strcmp(note, "light on dark")) return INK_LIGHT_ON_DARK;
    if (note && !strcmp(note, "dark on light")) return INK_DARK_ON_LIGHT;
    return INK_ANY;
}

int new_context(cp_ctx **ctx, int threads, cp_math math) {
    const cp_status status =
        cp_ctx_new(ctx, &(cp_options){.threads = threads ? threads : default_threads(), .math = math});
    return status ? fail_library(status) : STATUS_OK;
}
