/* How well a net classifies labelled pictures. */
#include "train/train.h"

#include <math.h>

enum { BATCH = 100 };

/* The shape without its batch. */
static cp_shape rest_of(cp_shape shape) {
    return cp_shape_of(shape.rank - 1, shape.dim + 1);
}

cp_status cp_check_data(const cp_net *net, const cp_data *data) {
    char images[CP_SHAPE_TEXT], input[CP_SHAPE_TEXT];
    if (net->status) return cp_fail(net->status, "%s", net->text);
    if (net->n_inputs != 1 || net->n_outputs == 0)
        return cp_fail(CP_E_ARG, "the net has %lld inputs and %lld outputs: needed are one input and an output",
                       (long long)net->n_inputs, (long long)net->n_outputs);
    const cp_value *x = cp_net_value(net, cp_net_input_node(net, 0));
    const cp_shape shape = cp_data_shape(data), y = cp_net_shape(net, cp_net_output_node(net, 0));
    if (x->type != CP_F32 || x->shape.rank < 1)
        return cp_fail(CP_E_ARG, "the net's input is %s %s, no pictures", cp_type_name(x->type),
                       cp_shape_text(x->shape, input));
    if (!cp_shape_same(rest_of(shape), rest_of(x->shape)))
        return cp_fail(CP_E_SHAPE, "images are %s, the model takes %s", cp_shape_text(rest_of(shape), images),
                       cp_shape_text(rest_of(x->shape), input));
    if (y.rank != 2 || y.dim[1] < cp_data_classes(data))
        return cp_fail(CP_E_SHAPE, "the data has %d classes, the model's output is %s", cp_data_classes(data),
                       cp_shape_text(y, input));
    return CP_OK;
}

cp_tensor cp_row(const cp_tensor *matrix, int64_t i) {
    cp_tensor row = {.type = matrix->type, .shape = {.rank = 1, .dim = {matrix->shape.dim[1]}}, .stride = {1}};
    row.data = (char *)matrix->data + i * matrix->shape.dim[1] * cp_type_size(matrix->type);
    return row;
}

int64_t cp_answer(const cp_tensor *row) {
    int64_t best = 0;
    for (int64_t c = 1; c < row->shape.dim[0]; c++)
        if (cp_get(row, c) > cp_get(row, best)) best = c;
    return best;
}

/* log(sum of exp(x - m)) + m - x[label], m the maximum: no logarithm of 0. */
static double cross_entropy(const cp_tensor *row, int64_t label) {
    const double m = cp_get(row, cp_answer(row));
    double sum = 0;
    for (int64_t c = 0; c < row->shape.dim[0]; c++) sum += exp(cp_get(row, c) - m);
    return log(sum) + m - cp_get(row, label);
}

/* A plan for batches of one size. The last batch may be smaller: what is behind it is computed and not looked at, so
 * that a net whose batch is fixed can be evaluated, too. */
typedef struct evaluation {
    cp_plan *plan;
    cp_work *work;
    cp_tensor x, *y;
    int outputs;
    int32_t *labels;
    int64_t batch;
} evaluation;

static void end(evaluation *e) {
    for (int i = 0; e->y && i < e->outputs; i++) cp_free(NULL, e->y[i].data);
    cp_free(NULL, e->y);
    cp_free(NULL, e->x.data);
    cp_free(NULL, e->labels);
    cp_work_free(e->work);
    cp_plan_free(e->plan);
}

/* Fresh memory, cleared; data is NULL where there is none. */
static cp_tensor new_tensor(cp_shape shape) {
    return cp_view(cp_zalloc(NULL, cp_shape_count(shape) * (int64_t)sizeof(float)), CP_F32, shape);
}

static cp_status begin(evaluation *e, const cp_net *net, cp_ctx *ctx, const cp_data *data) {
    const int64_t fixed = cp_net_shape(net, cp_net_input_node(net, 0)).dim[0], count = cp_data_count(data);
    e->batch = fixed ? fixed : count < BATCH ? count : BATCH;
    cp_status status = cp_net_plan(&e->plan, ctx, net, &(cp_plan_options){.batch = e->batch});
    if (!status) status = cp_work_new(&e->work, e->plan);
    if (status) return status;
    cp_shape shape = cp_data_shape(data);
    shape.dim[0] = e->batch;
    e->x = new_tensor(shape);
    e->labels = cp_alloc(NULL, e->batch * (int64_t)sizeof *e->labels);
    e->outputs = cp_net_outputs(net);
    e->y = cp_zalloc(NULL, e->outputs * (int64_t)sizeof *e->y);
    if (!e->x.data || !e->labels || !e->y) return CP_E_MEMORY;
    for (int i = 0; i < e->outputs; i++)
        if (!(e->y[i] = new_tensor(cp_plan_output_shape(e->plan, i))).data) return CP_E_MEMORY;
    return CP_OK;
}

static void count_batch(const evaluation *e, int64_t n, cp_score *score, int64_t *confusion) {
    for (int64_t i = 0; i < n; i++) {
        const cp_tensor row = cp_row(&e->y[0], i);
        const int64_t answer = cp_answer(&row), classes = row.shape.dim[0];
        score->count++;
        score->correct += answer == e->labels[i];
        score->loss += cross_entropy(&row, e->labels[i]);
        if (confusion) confusion[e->labels[i] * classes + answer]++;
    }
}

static cp_status evaluate(const evaluation *e, const cp_data *data, cp_score *score, int64_t *confusion) {
    const int64_t count = cp_data_count(data), classes = e->y[0].shape.dim[1];
    for (int64_t i = 0; confusion && i < classes * classes; i++) confusion[i] = 0;
    for (int64_t first = 0; first < count; first += e->batch) {
        const int64_t n = count - first < e->batch ? count - first : e->batch;
        cp_data_batch(data, NULL, first, n, e->x.data, e->labels);
        const cp_status status = cp_plan_run(e->plan, e->work, &e->x, 1, e->y, e->outputs);
        if (status) return status;
        count_batch(e, n, score, confusion);
    }
    if (count) score->loss /= (double)count;
    return CP_OK;
}

cp_status cp_net_evaluate(const cp_net *net, cp_ctx *ctx, const cp_data *data, cp_score *score, int64_t *confusion) {
    evaluation e = {0};
    if (!net || !data || !score) return cp_fail(CP_E_ARG, "%s is NULL", !net ? "net" : !data ? "data" : "score");
    *score = (cp_score){0};
    cp_status status = cp_check_data(net, data);
    if (!status) status = begin(&e, net, ctx, data);
    if (!status) status = evaluate(&e, data, score, confusion);
    end(&e);
    return status;
}
