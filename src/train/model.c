/* Models in safetensors files: the weights as PyTorch names and orders them, the net beside them.
 *
 * A parameter [kernel..., I, O] is stored as [O, I, kernel...], so a dense layer as [units, inputs]. The inputs of a
 * dense layer behind a flatten of [N, space, C] are stored in the order C, space: PyTorch flattens channels first. */
#include "train/train.h"

#include <math.h>
#include <string.h>

static const char network_note[] = "network";
static const char *const reserved_notes[] = {network_note, CP_TRAINER_NOTE, "convpool", "crc32c"};

/* ---------------------------------------------------------------------------------------------------------------
 * How parameters lie in a file
 * ------------------------------------------------------------------------------------------------------------- */

cp_shape cp_model_shape(cp_shape shape) {
    const int rank = shape.rank;
    cp_shape stored = {.rank = rank};
    for (int a = 0; a < rank; a++) stored.dim[a] = a == 0 ? shape.dim[rank - 1] : shape.dim[a == 1 ? rank - 2 : a - 2];
    return stored;
}

static const cp_net_node *computed_by(const cp_net *net, cp_node value) {
    const cp_value *v = cp_net_value(net, value);
    return v && v->kind == CP_VALUE_COMPUTED ? &net->nodes[v->node] : NULL;
}

/* The flatten that a value comes from, through layers that leave the order of the features alone. */
static const cp_net_node *flatten_before(const cp_net *net, cp_node value) {
    static const char *const through[] = {"relu", "sigmoid", "tanh", "dropout", "softmax", "add"};
    const cp_net_node *node = computed_by(net, value);
    for (size_t i = 0; node && i < sizeof through / sizeof *through; i++)
        if (!strcmp(node->op->name, through[i])) {
            node = computed_by(net, node->in[0]);
            i = (size_t)-1;
        }
    return node && !strcmp(node->op->name, "flatten") ? node : NULL;
}

/* Where parameter i is the weights of a dense layer behind a flatten: the channels that were flattened; else 0. */
static int64_t flattened_channels(const cp_net *net, int i) {
    for (int64_t n = 0; n < net->n_nodes; n++) {
        const cp_net_node *node = &net->nodes[n];
        if (strcmp(node->op->name, "dense") || node->in[1] != net->parameters[i]) continue;
        const cp_net_node *flatten = flatten_before(net, node->in[0]);
        const cp_shape before = flatten ? cp_net_shape(net, flatten->in[0]) : (cp_shape){0};
        return before.rank > 2 ? before.dim[before.rank - 1] : 0;
    }
    return 0;
}

/* The memory of parameter i in a file, and the net's own dense memory, as views of one shape. */
static void both_views(const cp_net *net, int i, const void *stored, const void *own, cp_type stored_type,
                       cp_type own_type, cp_tensor *stored_view, cp_tensor *own_view) {
    cp_shape shape = cp_net_shape(net, cp_net_parameter_node(net, i));
    const int64_t channels = flattened_channels(net, i);
    if (channels) shape = cp_shape_of(3, (int64_t[]){shape.dim[0] / channels, channels, shape.dim[1]});
    *stored_view = cp_view_filters_first(stored, stored_type, shape);
    *own_view = cp_view(own, own_type, shape);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Saving
 * ------------------------------------------------------------------------------------------------------------- */

static cp_type stored_type(const cp_model_writer *writer, cp_type type) {
    return type == CP_F32 ? writer->store : type;
}

/* A number that the half can only hold as an infinity would change what the net computes beyond recognition. */
static cp_status check_range(const cp_tensor *halves, const cp_tensor *from, const char *name) {
    const int64_t count = cp_shape_count(from->shape);
    for (int64_t e = 0; e < count; e++) {
        const double value = cp_get(from, cp_offset(from, 0, from->shape.rank, e));
        if (isinf(cp_get(halves, cp_offset(halves, 0, halves->shape.rank, e))) && !isinf(value))
            return cp_fail(CP_E_ARG, "'%s' has the number %g, too large for %s", name, value,
                           cp_type_name(halves->type));
    }
    return CP_OK;
}

/* To memory of the same type, or from CP_F32 to halves. */
static cp_status fill_stored(const cp_tensor *to, const cp_tensor *from, const char *name) {
    if (to->type == from->type) return cp_tensor_copy(to, from);
    const cp_status status = cp_tensor_convert(to, from);
    return status ? status : check_range(to, from, name);
}

/* A tensor of the file in fresh memory, which the caller fills. */
static cp_status add_stored(cp_model_writer *writer, const char *prefix, const char *name, cp_type type, cp_shape shape,
                            void **data) {
    cp_text text = {0};
    cp_status status = cp_grow(&writer->tensors, &writer->capacity, writer->n_tensors, sizeof *writer->tensors);
    if (status) return status;
    *data = cp_alloc(NULL, cp_shape_count(shape) * cp_type_size(type));
    if (!*data) return CP_E_MEMORY;
    cp_text_add(&text, "%s%s", prefix, name);
    const char *full = cp_text_take(&text);
    if (!full) {
        cp_free(NULL, *data);
        return CP_E_MEMORY;
    }
    writer->tensors[writer->n_tensors++] = (cp_stored){.name = full, .tensor = cp_view(*data, type, shape)};
    return CP_OK;
}

cp_status cp_model_add(cp_model_writer *writer, const cp_net *net, int i, const char *prefix, cp_type type,
                       const void *values) {
    const cp_shape shape = cp_model_shape(cp_net_shape(net, cp_net_parameter_node(net, i)));
    const char *name = cp_net_parameter_name(net, i);
    const cp_type store = stored_type(writer, type);
    cp_tensor to, from;
    void *data;
    const cp_status status = add_stored(writer, prefix, name, store, shape, &data);
    if (status) return status;
    both_views(net, i, data, values, store, type, &to, &from);
    return fill_stored(&to, &from, name);
}

static cp_status add_constants(cp_model_writer *writer, const cp_net *net) {
    cp_status status = CP_OK;
    for (cp_node i = 1; i <= net->n_values && !status; i++) {
        const cp_value *value = cp_net_value(net, i);
        if (value->kind != CP_VALUE_CONSTANT) continue;
        const cp_type store = stored_type(writer, value->type);
        void *data, *numbers;
        status = cp_net_numbers(net, i, &numbers);
        if (!status) status = add_stored(writer, "", value->name, store, value->shape, &data);
        if (status) return status;
        const cp_tensor to = cp_view(data, store, value->shape), from = cp_view(numbers, value->type, value->shape);
        status = fill_stored(&to, &from, value->name);
    }
    return status;
}

static bool is_reserved(const char *note) {
    for (size_t i = 0; i < sizeof reserved_notes / sizeof *reserved_notes; i++)
        if (!strcmp(note, reserved_notes[i])) return true;
    return false;
}

static cp_status write_notes(const cp_model_writer *writer, const cp_net *net, const char *json, const char *trainer,
                             const char *path) {
    cp_note *notes = cp_alloc(NULL, (net->n_notes + 2) * (int64_t)sizeof *notes);
    if (!notes) return CP_E_MEMORY;
    int64_t n = 0;
    cp_status status = CP_OK;
    notes[n++] = (cp_note){network_note, json};
    if (trainer) notes[n++] = (cp_note){CP_TRAINER_NOTE, trainer};
    for (int64_t i = 0; i < net->n_notes && !status; i++) {
        if (is_reserved(net->notes[i].name))
            status = cp_fail(CP_E_ARG, "a note cannot be named '%s': the file needs that name", net->notes[i].name);
        notes[n++] = (cp_note){net->notes[i].name, net->notes[i].text};
    }
    if (!status) status = cp_safetensors_save(path, writer->tensors, writer->n_tensors, notes, n);
    cp_free(NULL, notes);
    return status;
}

cp_status cp_model_write(cp_model_writer *writer, const cp_net *net, const char *trainer, const char *path) {
    char *json;
    cp_status status = cp_network_write(net, &json);
    if (!status) status = add_constants(writer, net);
    if (!status) status = write_notes(writer, net, json, trainer, path);
    cp_free(NULL, json);
    return status;
}

void cp_model_writer_free(cp_model_writer *writer) {
    for (int64_t i = 0; i < writer->n_tensors; i++) {
        cp_free(NULL, writer->tensors[i].tensor.data);
        cp_free(NULL, (void *)writer->tensors[i].name);
    }
    cp_free(NULL, writer->tensors);
    *writer = (cp_model_writer){0};
}

cp_status cp_net_save(const cp_net *net, const char *path) {
    return cp_net_save_as(net, path, CP_F32);
}

cp_status cp_net_save_as(const cp_net *net, const char *path, cp_type type) {
    if (!net || !path) return cp_fail(CP_E_ARG, "%s is NULL", net ? "path" : "net");
    if (type != CP_F32 && !cp_is_half(type))
        return cp_fail(CP_E_ARG, "a net cannot be saved as %s: must be f32, f16 or bf16", cp_type_name(type));
    if (net->status) return cp_fail(net->status, "%s", net->text);
    cp_model_writer writer = {.store = type};
    cp_status status = CP_OK;
    for (int i = 0; i < cp_net_parameters(net) && !status; i++) {
        void *numbers;
        status = cp_net_numbers(net, cp_net_parameter_node(net, i), &numbers);
        if (!status) status = cp_model_add(&writer, net, i, "", CP_F32, numbers);
    }
    if (!status) status = cp_model_write(&writer, net, NULL, path);
    cp_model_writer_free(&writer);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Loading
 * ------------------------------------------------------------------------------------------------------------- */

cp_status cp_model_check(const cp_safetensors *file, const char *name, cp_shape shape) {
    const cp_tensor *tensor = cp_safetensors_find(file, name);
    char escaped[400], here[CP_SHAPE_TEXT], there[CP_SHAPE_TEXT];
    cp_escape(name, strlen(name), escaped);
    if (!tensor) return cp_fail(CP_E_FORMAT, "'%s' is missing in the file", escaped);
    if (!cp_shape_same(tensor->shape, shape))
        return cp_fail(CP_E_FORMAT, "'%s' is %s here, %s in the file", escaped, cp_shape_text(shape, here),
                       cp_shape_text(tensor->shape, there));
    return CP_OK;
}

cp_status cp_model_take(const cp_safetensors *file, const cp_net *net, int i, const char *prefix, cp_type type,
                        void *values) {
    cp_tensor to, from;
    cp_text text = {0};
    cp_text_add(&text, "%s%s", prefix, cp_net_parameter_name(net, i));
    char *name = cp_text_take(&text);
    if (!name) return CP_E_MEMORY;
    cp_status status = cp_model_check(file, name, cp_model_shape(cp_net_shape(net, cp_net_parameter_node(net, i))));
    if (!status) {
        const cp_tensor *stored = cp_safetensors_find(file, name);
        both_views(net, i, stored->data, values, stored->type, type, &from, &to);
        if (stored->type == type)
            status = cp_tensor_copy(&to, &from);
        else if (stored->type == CP_F32 || stored->type == CP_F64 || cp_is_half(stored->type))
            status = cp_tensor_convert(&to, &from);
        else
            status = cp_fail(CP_E_FORMAT, "'%s' has type %s: must be f32, f64, f16 or bf16", name,
                             cp_type_name(stored->type));
    }
    cp_free(NULL, name);
    return status;
}

static bool begins_with(const char *text, const char *prefix) {
    return !strncmp(text, prefix, strlen(prefix));
}

/* Whether a tensor of the file belongs to the net or to a trainer. */
static bool is_known(const cp_net *net, const char *name) {
    for (cp_node i = 1; i <= net->n_values; i++) {
        const cp_value *value = cp_net_value(net, i);
        if ((value->kind == CP_VALUE_PARAMETER || value->kind == CP_VALUE_CONSTANT) && !strcmp(value->name, name))
            return true;
    }
    return begins_with(name, CP_PREFIX_M) || begins_with(name, CP_PREFIX_V) || begins_with(name, CP_PREFIX_WEIGHTS) ||
           begins_with(name, CP_PREFIX_MEAN);
}

static cp_status check_tensors(const cp_safetensors *file, const cp_net *net) {
    char text[400];
    for (int64_t i = 0; i < file->n_tensors; i++)
        if (!is_known(net, file->tensors[i].name))
            return cp_fail(CP_E_FORMAT, "the net has no '%s'",
                           cp_escape(file->tensors[i].name, strlen(file->tensors[i].name), text));
    return CP_OK;
}

static cp_status take_notes(const cp_safetensors *file, cp_net *net) {
    cp_status status = CP_OK;
    for (int64_t i = 0; i < file->n_notes && !status; i++)
        if (!is_reserved(file->notes[i].name)) status = cp_net_set_note(net, file->notes[i].name, file->notes[i].value);
    return status;
}

static cp_status fill_parameter(const cp_safetensors *file, cp_net *net, int i) {
    void *numbers;
    const cp_status status = cp_net_numbers(net, cp_net_parameter_node(net, i), &numbers);
    return status ? status : cp_model_take(file, net, i, "", CP_F32, numbers);
}

/* Leaves the numbers in the file where they can be read there: a plan packs them from there, and nobody needs a copy
 * in the net. */
static cp_status lend_parameter(const cp_safetensors *file, cp_net *net, int i) {
    const cp_tensor *stored = cp_safetensors_find(file, cp_net_parameter_name(net, i));
    if (!stored || stored->type != CP_F32) return fill_parameter(file, net, i);
    const cp_node node = cp_net_parameter_node(net, i);
    const cp_status status =
        cp_model_check(file, cp_net_parameter_name(net, i), cp_model_shape(cp_net_shape(net, node)));
    if (status) return status;
    cp_tensor from, to;
    both_views(net, i, stored->data, NULL, CP_F32, CP_F32, &from, &to);
    cp_net_lend(net, node, &from);
    return CP_OK;
}

/* parameter: fill_parameter or lend_parameter. */
static cp_status read_model(cp_net **net, const cp_safetensors *file,
                            cp_status (*parameter)(const cp_safetensors *file, cp_net *net, int i)) {
    *net = NULL;
    const char *json = cp_safetensors_note(file, network_note);
    if (!json) return cp_fail(CP_E_FORMAT, "not a model: its metadata has no '%s'", network_note);
    if (file->n_tensors > 3 * CP_MAX_NAMES) return cp_fail(CP_E_LIMIT, "more than %d tensors", 3 * CP_MAX_NAMES);
    cp_net *read;
    cp_status status = cp_network_read(&read, json, file);
    if (status) return status;
    status = check_tensors(file, read);
    for (int i = 0; i < cp_net_parameters(read) && !status; i++) status = parameter(file, read, i);
    if (!status) status = take_notes(file, read);
    if (!status)
        *net = read;
    else
        cp_net_free(read);
    return status;
}

cp_status cp_model_read(cp_net **net, const cp_safetensors *file) {
    return read_model(net, file, fill_parameter);
}

static void release_file(void *object) {
    cp_safetensors_free(object);
    cp_free(NULL, object);
}

cp_status cp_net_load(cp_net **net, const char *path) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    *net = NULL;
    if (!path) return cp_fail(CP_E_ARG, "path is NULL");
    cp_safetensors *file = cp_zalloc(NULL, sizeof *file);
    if (!file) return CP_E_MEMORY;
    cp_status status = cp_safetensors_load(file, path);
    if (!status && (status = read_model(net, file, lend_parameter))) cp_fail_within(status, "%s", path);
    if (status) {
        release_file(file);
        return status;
    }
    status = cp_net_keep(*net, file, release_file);
    if (!status) return CP_OK;
    cp_net_free(*net);
    *net = NULL;
    return status;
}

cp_status cp_net_load_memory(cp_net **net, const void *bytes, int64_t length) {
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    *net = NULL;
    if (!bytes) return cp_fail(CP_E_ARG, "bytes is NULL");
    cp_safetensors file;
    cp_status status = cp_safetensors_read(&file, bytes, length);
    if (status) return status;
    status = cp_model_read(net, &file);
    cp_safetensors_free(&file);
    return status;
}
