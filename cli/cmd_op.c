/* convpool op: one operation, or its gradients, on NumPy files. */
#include "op.h"

#include <stdlib.h>
#include <zlib.h>

#define ARRAY_LIMIT ((int64_t)8 << 30) /* bytes of one result */
#define PRINTED 400                    /* a result of so many numbers is printed */

/* --- values: arrays of files and of results --- */

/* From the order of a file to channels last, or back. */
static cp_shape turn(cp_shape shape, file_order order, bool to_file) {
    cp_shape turned = shape;
    const int last = shape.rank - 1;
    if (order == ORDER_CHANNELS) {
        for (int i = 1; i <= last; i++) {
            const int other = i == last ? 1 : i + 1; /* N,C,H,W <-> N,H,W,C */
            turned.dim[to_file ? other : i] = shape.dim[to_file ? i : other];
        }
    } else if (order == ORDER_FILTERS) {
        for (int i = 0; i <= last; i++) {
            const int other = i == last ? 0 : i == last - 1 ? 1 : i + 2; /* O,I,H,W <-> H,W,I,O */
            turned.dim[to_file ? other : i] = shape.dim[to_file ? i : other];
        }
    }
    return turned;
}

/* The order in which a value lies: nchw says nothing to values without space, but to the weights of dense. */
static file_order order_of(const session *s, file_order order, int rank) {
    const int least = order == ORDER_FILTERS ? 2 : 3;
    return s->options->channels_first && rank >= least ? order : ORDER_PLAIN;
}

static cp_tensor view_of(const value *v, cp_type type, cp_shape shape) {
    if (v->order == ORDER_CHANNELS) return cp_view_channels_first(v->memory, type, shape);
    if (v->order == ORDER_FILTERS) return cp_view_filters_first(v->memory, type, shape);
    return cp_view(v->memory, type, shape);
}

/* Labels or positions, of which any that there cannot be is -1. False where the file's numbers are not whole. */
static bool read_labels(int32_t *labels, const cp_array *array, int64_t count) {
    if (array->type == CP_F32 || array->type == CP_F64 || array->type == CP_F16 || array->type == CP_BF16) return false;
    for (int64_t i = 0; i < count; i++) {
        const double label = number_at(array->data, array->type, i);
        labels[i] = label >= 0 && label <= INT32_MAX ? (int32_t)label : -1;
    }
    return true;
}

/* The numbers of a file in fresh memory of another type. */
static int convert(void **memory, cp_type type, const cp_array *array, const char *path) {
    const int64_t count = cp_shape_count(array->shape);
    *memory = allocate((size_t)count, (size_t)cp_type_size(type));
    if (type == CP_I32)
        return read_labels(*memory, array, count) ? STATUS_OK : fail(STATUS_INPUT, "%s: must be whole numbers", path);
    const cp_tensor from = cp_view(array->data, array->type, array->shape), to = cp_view(*memory, type, array->shape);
    const cp_status status = cp_tensor_convert(&to, &from);
    return status ? fail_library(status) : STATUS_OK;
}

static cp_type real_type(const session *s) {
    return s->options->real64 ? CP_F64 : CP_F32;
}

static const struct {
    const char *name;
    file_order order;
} inputs[INPUTS] = {
    [IN_X] = {"x", ORDER_CHANNELS},
    [IN_SECOND] = {"second", ORDER_CHANNELS},
    [IN_WEIGHTS] = {"weights", ORDER_FILTERS},
    [IN_BIAS] = {"bias", ORDER_PLAIN},
    [IN_MEAN] = {"mean", ORDER_PLAIN},
    [IN_VARIANCE] = {"variance", ORDER_PLAIN},
    [IN_TARGET] = {"target", ORDER_CHANNELS},
    [IN_OFFSET] = {"offset", ORDER_CHANNELS},
    [IN_MASK] = {"mask", ORDER_CHANNELS},
    [IN_POSITIONS] = {"positions", ORDER_CHANNELS},
    [IN_ROIS] = {"rois", ORDER_PLAIN},
    [IN_GRAD] = {"grad", ORDER_CHANNELS},
};

/* The results; of gradients, by which input. */
static const struct {
    const char *name;
    file_order order;
    op_input by;
} results[RESULTS] = {
    [OUT_Y] = {"y", ORDER_CHANNELS, INPUTS},          [OUT_POSITIONS] = {"positions", ORDER_CHANNELS, INPUTS},
    [OUT_DX] = {"dx", ORDER_CHANNELS, IN_X},          [OUT_DW] = {"dw", ORDER_FILTERS, IN_WEIGHTS},
    [OUT_DB] = {"db", ORDER_PLAIN, IN_BIAS},          [OUT_DOFFSET] = {"doffset", ORDER_CHANNELS, IN_OFFSET},
    [OUT_DMASK] = {"dmask", ORDER_CHANNELS, IN_MASK},
};

/* Reads a file, where one was named, into an input of the net. */
static int read_value(session *s, op_input i) {
    const char *path = s->options->in[i];
    const bool whole = i == IN_POSITIONS || (i == IN_TARGET && s->options->operation->labels);
    const cp_type type = whole ? CP_I32 : real_type(s);
    value *v = &s->in[i];
    cp_array array;
    if (!path) return STATUS_OK;
    int status = load_npy(&array, path);
    if (status) return status;
    v->name = inputs[i].name;
    v->order = order_of(s, inputs[i].order, array.shape.rank);
    v->stored = array.shape;
    status = convert(&v->memory, type, &array, path);
    cp_array_free(&array);
    if (status) return status;
    v->view = view_of(v, type, turn(v->stored, v->order, false));
    v->node = cp_net_input(s->net, v->name, type == CP_I32 ? CP_I32 : CP_F32, v->view.shape);
    return STATUS_OK;
}

/* Memory for a result of the net. */
static int new_value(session *s, op_result i, cp_node node) {
    value *v = &s->out[i];
    const cp_shape shape = cp_net_shape(s->net, node);
    const cp_type type = i == OUT_POSITIONS ? CP_I32 : real_type(s);
    const int64_t count = cp_shape_count(shape), bytes = cp_type_size(type);
    char text[CP_SHAPE_TEXT];
    v->name = results[i].name;
    if (count < 0 || count > ARRAY_LIMIT / bytes)
        return fail(STATUS_LIMIT, "%s is %s, more than the limit of %lld bytes", v->name, cp_shape_text(shape, text),
                    (long long)ARRAY_LIMIT);
    v->node = node;
    v->order = order_of(s, results[i].order, shape.rank);
    v->stored = turn(shape, v->order, true);
    v->memory = allocate((size_t)count, (size_t)bytes);
    v->view = view_of(v, type, shape);
    cp_net_output(s->net, node, v->name);
    return STATUS_OK;
}

/* --- running --- */

static int net_status(const session *s) {
    const char *reason;
    const cp_status status = cp_net_error(s->net, &reason);
    return status ? fail(exit_status(status), "%s", reason) : STATUS_OK;
}

/* Of gradients, those that a file is named for; or else all. */
static bool derives(const op_options *o) {
    bool any = o->in[IN_GRAD];
    for (int i = OUT_DX; i < RESULTS; i++) any |= o->out[i] != NULL;
    return any;
}
static bool wants(const op_options *o, op_result i) {
    bool named = false;
    for (int k = OUT_DX; k < RESULTS; k++) named |= o->out[k] != NULL;
    return o->out[i] || !named;
}

static int build_gradients(session *s, cp_node y) {
    cp_node wrt[RESULTS], by[RESULTS];
    op_result chosen[RESULTS];
    int n = 0, status = STATUS_OK;
    for (op_result i = OUT_DX; i < RESULTS; i++) {
        if (!s->in[results[i].by].memory || !wants(s->options, i)) continue;
        wrt[n] = s->in[results[i].by].node;
        chosen[n++] = i;
    }
    const cp_status derived = cp_net_gradients(s->net, y, s->in[IN_GRAD].node, wrt, n, by);
    if (derived) return fail_library(derived);
    for (int i = 0; !status && i < n; i++)
        if (by[i]) status = new_value(s, chosen[i], by[i]); /* the weights of classes have none */
    return status;
}

static int build(session *s) {
    const op_options *o = s->options;
    cp_node y = 0;
    int status = STATUS_OK;
    for (op_input i = IN_X; i < IN_GRAD && !status; i++) status = read_value(s, i);
    if (!status) status = o->operation->build(s, &y);
    if (!status) status = net_status(s);
    if (!status && (o->out[OUT_Y] || !derives(o))) status = new_value(s, OUT_Y, y);
    if (!status && o->out[OUT_POSITIONS]) {
        const cp_node positions = cp_net_pool_positions(s->net, y);
        status = net_status(s);
        if (!status) status = new_value(s, OUT_POSITIONS, positions);
    }
    if (!status) status = read_value(s, IN_GRAD);
    if (!status && derives(o)) status = build_gradients(s, y);
    return status ? status : net_status(s);
}

/* The views of those values that are present. */
static int views(cp_tensor *list, const value *values, int n) {
    int count = 0;
    for (int i = 0; i < n; i++)
        if (values[i].memory) list[count++] = values[i].view;
    return count;
}

static int run(session *s) {
    cp_tensor in[INPUTS], out[RESULTS];
    const int n_in = views(in, s->in, INPUTS), n_out = views(out, s->out, RESULTS);
    cp_ctx *ctx = NULL;
    cp_plan *plan = NULL;
    cp_work *work = NULL;
    int status = new_context(&ctx, s->options->computing.threads, s->options->computing.math);
    if (status) return status;
    const cp_plan_options planned = {
        .type = real_type(s), .training = s->options->training, .inputs = in, .outputs = out};
    cp_status ran = cp_net_plan(&plan, ctx, s->net, &planned);
    if (!ran) ran = cp_work_new(&work, plan);
    if (!ran) ran = cp_plan_run(plan, work, in, n_in, out, n_out);
    if (ran) status = fail_library(ran);
    cp_work_free(work);
    cp_plan_free(plan);
    cp_ctx_free(ctx);
    return status;
}

/* --- results --- */

static double result_at(const value *v, int64_t i) {
    return v->view.type == CP_F64 ? ((const double *)v->memory)[i] : (double)((const float *)v->memory)[i];
}

/* Rows of the last axis that is longer than 1, as they lie in the file; an empty line where an outer axis goes on. */
static void print_value(const value *v) {
    char text[CP_SHAPE_TEXT];
    const int64_t count = cp_shape_count(v->stored);
    printf("%s %s", v->name, cp_shape_text(v->stored, text));
    if (count > PRINTED) {
        const size_t bytes = (size_t)(count * cp_type_size(v->view.type));
        printf(" crc32 %08lx\n", (unsigned long)crc32_z(0, v->memory, bytes));
        return;
    }
    int last = v->stored.rank - 1;
    while (last > 0 && v->stored.dim[last] == 1) last--;
    const int64_t row = v->stored.rank ? v->stored.dim[last] : 1;
    const int64_t block = last > 0 ? row * v->stored.dim[last - 1] : count;
    for (int64_t i = 0; i < count; i++) {
        if (i && i % block == 0) printf("\n");
        printf(i % row ? " %.9g" : "\n%.9g", result_at(v, i));
    }
    printf("\n");
}

static int give(const value *v, const char *path) {
    if (!v->memory) return STATUS_OK;
    if (!path) {
        print_value(v);
        return STATUS_OK;
    }
    const cp_tensor file = cp_view(v->memory, v->view.type, v->stored);
    return save_npy(&file, path);
}

int cmd_op(int argc, char **argv) {
    op_options o;
    op_parse(&o, argc, argv);
    session s = {.options = &o};
    const cp_status created = cp_net_new(&s.net);
    int status = created ? fail_library(created) : build(&s);
    if (!status) status = run(&s);
    for (int i = 0; i < RESULTS && !status; i++) status = give(&s.out[i], o.out[i]);
    for (int i = 0; i < INPUTS; i++) free(s.in[i].memory);
    for (int i = 0; i < RESULTS; i++) free(s.out[i].memory);
    cp_net_free(s.net);
    return status;
}
