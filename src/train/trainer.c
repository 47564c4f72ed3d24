/* The trainer: parameters as plans want them, one plan for forward, backward and loss, and the steps. */
#include "train/train.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------------
 * Options
 * ------------------------------------------------------------------------------------------------------------- */

/* A number that must be finite, at least 0, and less than `limit` (infinity: any). */
static cp_status check_number(const char *name, float value, float limit) {
    char text[32], most[32];
    if (value >= 0 && value < limit) return CP_OK;
    cp_real_text((double)value, 9, text);
    if (isinf(limit)) return cp_fail(CP_E_ARG, "%s = %s: must be a number of at least 0", name, text);
    return cp_fail(CP_E_ARG, "%s = %s: must be at least 0 and less than %s", name, text,
                   cp_real_text((double)limit, 9, most));
}

static cp_status check_count(const char *name, int64_t value, int64_t least) {
    if (value >= least) return CP_OK;
    return cp_fail(CP_E_ARG, "%s = %lld: must be at least %lld", name, (long long)value, (long long)least);
}

static cp_status check_kind(const char *name, unsigned value, unsigned kinds) {
    if (value < kinds) return CP_OK;
    return cp_fail(CP_E_ARG, "%s = %u: there is no such", name, value);
}

static cp_status check_options(const cp_train *train) {
    const cp_schedule *schedule = &train->schedule;
    cp_status status = check_kind("optimizer", train->optimizer, CP_LION + 1);
    if (!status) status = check_kind("loss", train->loss, CP_HUBER + 1);
    if (!status) status = check_kind("schedule", schedule->kind, CP_PLATEAU + 1);
    if (!status && train->type != CP_F32 && train->type != CP_F64)
        status = cp_fail(CP_E_ARG, "type = %s: must be f32 or f64", cp_type_name(train->type));
    if (!status) status = check_number("rate", train->rate, INFINITY);
    if (!status) status = check_number("beta1", train->beta1, 1);
    if (!status) status = check_number("beta2", train->beta2, 1);
    if (!status) status = check_number("epsilon", train->epsilon, INFINITY);
    if (!status) status = check_number("momentum", train->momentum, 1);
    if (!status) status = check_number("decay", train->decay, INFINITY);
    if (!status) status = check_number("clip", train->clip, INFINITY);
    if (!status) status = check_number("average", train->average, 1);
    if (!status) status = check_number("smoothing", train->smoothing, 1);
    if (!status) status = check_number("gamma", train->gamma, INFINITY);
    if (!status) status = check_number("delta", train->delta, INFINITY);
    if (!status) status = check_count("accumulate", train->accumulate, 0);
    if (!status) status = check_count("patience", train->patience, 0);
    if (!status) status = check_number("schedule.factor", schedule->factor, INFINITY);
    if (!status) status = check_count("schedule.warmup", schedule->warmup, 0);
    if (!status && (schedule->kind == CP_STEPPED || schedule->kind == CP_PLATEAU))
        status = check_count("schedule.every", schedule->every, 1);
    if (!status && schedule->kind == CP_COSINE) status = check_count("schedule.total", schedule->total, 1);
    if (!status && train->smoothing != 0 && train->loss != CP_SOFTMAX_CROSS_ENTROPY)
        status = cp_fail(CP_E_ARG, "smoothing is for the softmax cross-entropy");
    if (!status && train->class_weights && train->loss != CP_SOFTMAX_CROSS_ENTROPY)
        status = cp_fail(CP_E_ARG, "class_weights are for the softmax cross-entropy");
    if (!status && train->nesterov && train->momentum == 0)
        status = cp_fail(CP_E_ARG, "nesterov needs a momentum above 0");
    return status ? status : cp_check_reserved(train->reserved, sizeof train->reserved, "the options");
}

static void fill_defaults(cp_train *train) {
    if (train->rate == 0) train->rate = 1e-3f;
    if (train->beta1 == 0) train->beta1 = 0.9f;
    if (train->beta2 == 0)
        train->beta2 = train->optimizer == CP_RMSPROP ? 0.9f : train->optimizer == CP_LION ? 0.99f : 0.999f;
    if (train->epsilon == 0) train->epsilon = 1e-8f;
    if (train->accumulate == 0) train->accumulate = 1;
}

static cp_status check_model(const cp_net *net) {
    if (net->status) return cp_fail(net->status, "%s", net->text);
    if (net->n_inputs != 1)
        return cp_fail(CP_E_ARG, "the net has %lld inputs: training needs one", (long long)net->n_inputs);
    if (net->n_outputs == 0) return cp_fail(CP_E_ARG, "the net has no output");
    if (net->n_parameters == 0) return cp_fail(CP_E_ARG, "the net has no parameters to train");
    return CP_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * The net with loss and gradients
 * ------------------------------------------------------------------------------------------------------------- */

bool cp_loss_takes_labels(cp_loss loss) {
    return loss == CP_SOFTMAX_CROSS_ENTROPY || loss == CP_FOCAL || loss == CP_HINGE;
}

static cp_node add_loss(cp_net *net, const cp_train *train) {
    const cp_node y = cp_net_output_node(net, 0);
    const char *name = strcmp(cp_net_input_name(net, 0), "target") ? "target" : "labels";
    cp_shape shape = cp_net_shape(net, y);
    const bool labels = cp_loss_takes_labels(train->loss);
    if (labels) shape.rank = 1;
    const cp_node target = cp_net_input(net, name, labels ? CP_I32 : CP_F32, shape);
    switch (train->loss) {
    case CP_SOFTMAX_CROSS_ENTROPY:
        break;
    case CP_MEAN_SQUARED_ERROR:
        return cp_net_mean_squared_error(net, y, target);
    case CP_BINARY_CROSS_ENTROPY:
        return cp_net_binary_cross_entropy(net, y, target);
    case CP_FOCAL:
        return cp_net_focal(net, y, target, train->gamma);
    case CP_HINGE:
        return cp_net_hinge(net, y, target);
    case CP_HUBER:
        return cp_net_huber(net, y, target, train->delta);
    }
    cp_node weights = 0;
    if (train->class_weights) {
        const cp_tensor values = cp_vec(train->class_weights, cp_output_columns(net));
        weights = cp_net_constant(net, NULL, &values);
        if (!weights) return 0;
    }
    return cp_net_softmax_cross_entropy_with(net, y, target, weights, train->smoothing);
}

static void remove_outputs(cp_net *net) {
    while (net->n_outputs > 0) cp_free(NULL, net->outputs[--net->n_outputs].name);
}

/* What a parameter that follows becomes after a step; 0 for another. */
static cp_node next_of(const cp_net *net, cp_node parameter) {
    for (int64_t i = 0; i < net->n_nodes; i++) {
        const cp_net_node *node = &net->nodes[i];
        for (int k = 0; k < node->inputs; k++)
            if (node->in[k] == parameter && node->op->next[k]) return node->out[node->op->next[k]];
    }
    return 0;
}

static cp_status build_training(cp_trainer *t) {
    cp_status status = cp_net_clone(&t->training, t->net);
    if (status) return status;
    cp_net *net = t->training;
    cp_node *by = cp_alloc(NULL, t->n_variables * (int64_t)sizeof *by);
    if (!by) return CP_E_MEMORY;
    const cp_node logits = cp_net_output_node(net, 0), loss = add_loss(net, &t->train);
    status = cp_net_gradients(net, loss, 0, t->net->parameters, t->n_variables, by);
    remove_outputs(net);
    cp_net_output(net, loss, "loss");
    cp_net_output(net, logits, "logits");
    for (int i = 0; i < t->n_variables && !status; i++) {
        t->variables[i].trained = by[i];
        if (!by[i]) by[i] = next_of(t->net, t->net->parameters[i]);
        t->variables[i].follows = by[i] && !t->variables[i].trained;
        t->gradients[i] = by[i] ? (int)net->n_outputs : -1;
        if (by[i]) cp_net_output(net, by[i], cp_net_parameter_name(net, i));
        if (net->status) status = cp_fail(net->status, "%s", net->text);
    }
    cp_free(NULL, by);
    return status;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Variables
 * ------------------------------------------------------------------------------------------------------------- */

static int64_t plain_count(const cp_trainer *t, int i) {
    return cp_shape_count(cp_net_shape(t->net, cp_net_parameter_node(t->net, i)));
}

/* The numbers that an array of a variable has room for, in either form. */
static int64_t room(const cp_trainer *t, int i) {
    const cp_panels *panels = &t->variables[i].panels;
    const int64_t plain = plain_count(t, i), packed = panels->rows ? cp_panels_floats(panels) : 0;
    return packed > plain ? packed : plain;
}

/* Hands out the arrays of all variables from one block, or, without a block, only adds up their bytes. */
static int64_t place_arrays(cp_trainer *t, char *memory) {
    const cp_optimizer optimizer = t->train.optimizer;
    const bool adam = optimizer == CP_ADAM || optimizer == CP_ADAM_PAPER || optimizer == CP_ADAMW;
    const bool m = adam || optimizer == CP_LION;
    const bool v = optimizer == CP_SGD ? t->train.momentum != 0 : optimizer != CP_LION;
    int64_t used = 0;
    for (int i = 0; i < t->n_variables; i++) {
        cp_variable *variable = &t->variables[i];
        const bool trained = variable->trained;
        const struct {
            void **array;
            bool needed;
        } arrays[] = {{&variable->weights, true},
                      {&variable->gradient, trained || variable->follows},
                      {&variable->m, trained && m},
                      {&variable->v, trained && v},
                      {&variable->average, trained && t->train.average != 0},
                      {&variable->mean, trained && t->train.accumulate > 1}};
        for (size_t a = 0; a < sizeof arrays / sizeof *arrays; a++) {
            if (!arrays[a].needed) continue;
            if (memory) *arrays[a].array = memory + used;
            used += cp_round_up(room(t, i) * cp_type_size(t->train.type), CP_ALIGN);
        }
    }
    return used;
}

static cp_status make_variables(cp_trainer *t) {
    int64_t pieces = 0;
    for (int i = 0; i < t->n_variables; i++) {
        cp_variable *variable = &t->variables[i];
        const cp_shape shape = cp_net_shape(t->net, cp_net_parameter_node(t->net, i));
        variable->count = plain_count(t, i);
        variable->decay = shape.rank > 1 ? t->train.decay : 0;
        if (shape.rank > 1 && t->train.type == CP_F32)
            variable->panels = cp_parameter_panels(t->net, t->context.kernels, i);
        pieces += cp_optimizer_pieces(room(t, i));
    }
    t->sums = cp_alloc(NULL, pieces * (int64_t)sizeof *t->sums);
    t->memory = cp_zalloc(cp_ctx_allocator(&t->context), place_arrays(t, NULL));
    if (!t->sums || !t->memory) return CP_E_MEMORY;
    place_arrays(t, t->memory);
    for (int i = 0; i < t->n_variables; i++) {
        void *numbers;
        const cp_status status = cp_net_numbers(t->net, cp_net_parameter_node(t->net, i), &numbers);
        if (status) return status;
        const float *values = numbers;
        void *weights = t->variables[i].weights, *average = t->variables[i].average;
        for (int64_t e = 0; e < plain_count(t, i); e++) {
            if (t->train.type == CP_F64)
                ((double *)weights)[e] = (double)values[e];
            else
                ((float *)weights)[e] = values[e];
        }
        if (average) memcpy(average, weights, (size_t)(plain_count(t, i) * cp_type_size(t->train.type)));
    }
    return CP_OK;
}

/* The weights that count: their average, where there is one. */
static const void *result_of(const cp_variable *variable) {
    return variable->average ? variable->average : variable->weights;
}

void cp_variable_read(const cp_trainer *t, int i, const void *array, void *plain) {
    if (t->variables[i].in_panels)
        cp_panels_unpack(&t->variables[i].panels, array, plain);
    else
        memcpy(plain, array, (size_t)(plain_count(t, i) * cp_type_size(t->train.type)));
}

void cp_variable_write(const cp_trainer *t, int i, const void *plain, void *array) {
    if (t->variables[i].in_panels)
        cp_panels_pack(&t->variables[i].panels, t->context.kernels, plain, array, 0, 1);
    else
        memcpy(array, plain, (size_t)(plain_count(t, i) * cp_type_size(t->train.type)));
}

/* Brings a variable into panels or out of them. The gradient is cleared: what pads the panels must be zero. */
static cp_status change_form(cp_trainer *t, int i, bool in_panels) {
    cp_variable *variable = &t->variables[i];
    void *const arrays[] = {variable->weights, variable->m, variable->v, variable->average, variable->mean};
    float *plain = cp_alloc(NULL, plain_count(t, i) * (int64_t)sizeof *plain);
    if (!plain) return CP_E_MEMORY;
    const bool before = variable->in_panels;
    for (int a = 0; a < 5; a++) {
        if (!arrays[a]) continue;
        variable->in_panels = before;
        cp_variable_read(t, i, arrays[a], plain);
        variable->in_panels = in_panels;
        cp_variable_write(t, i, plain, arrays[a]);
    }
    variable->count = in_panels ? cp_panels_floats(&variable->panels) : plain_count(t, i);
    if (variable->gradient) memset(variable->gradient, 0, (size_t)variable->count * sizeof(float));
    cp_free(NULL, plain);
    return CP_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * A trainer's life
 * ------------------------------------------------------------------------------------------------------------- */

static void free_prepared(cp_prepared_step *prepared) {
    cp_work_free(prepared->work);
    cp_plan_free(prepared->plan);
    cp_free(NULL, prepared->in_panels);
    cp_free(NULL, prepared->logits);
    *prepared = (cp_prepared_step){0};
}

int64_t cp_output_columns(const cp_net *net) {
    const cp_shape y = cp_net_shape(net, cp_net_output_node(net, 0));
    return y.rank == 2 ? y.dim[1] : 0;
}

static cp_status copy_class_weights(cp_trainer *t) {
    const int64_t n = cp_output_columns(t->net);
    char text[32];
    if (n == 0) return cp_fail(CP_E_SHAPE, "class_weights: the net's output is no matrix");
    t->class_weights = cp_alloc(NULL, n * (int64_t)sizeof *t->class_weights);
    if (!t->class_weights) return CP_E_MEMORY;
    for (int64_t c = 0; c < n; c++) {
        const float weight = t->class_weights[c] = t->train.class_weights[c];
        if (!(weight > 0 && isfinite(weight)))
            return cp_fail(CP_E_ARG, "class_weights[%lld] = %s: must be a number above 0", (long long)c,
                           cp_real_text((double)weight, 9, text));
    }
    t->train.class_weights = t->class_weights;
    return CP_OK;
}

static cp_status start(cp_trainer *t, const cp_net *net) {
    cp_status status = t->ctx ? CP_OK : cp_ctx_default(&t->context);
    if (status) return status;
    if (t->ctx) t->context = *t->ctx;
    status = cp_net_clone(&t->net, net);
    if (status) return status;
    if (t->train.class_weights) status = copy_class_weights(t);
    if (status) return status;
    t->n_variables = cp_net_parameters(net);
    t->variables = cp_zalloc(NULL, t->n_variables * (int64_t)sizeof *t->variables);
    t->gradients = cp_alloc(NULL, t->n_variables * (int64_t)sizeof *t->gradients);
    t->outputs = cp_alloc(NULL, (t->n_variables + 2) * (int64_t)sizeof *t->outputs);
    if (!t->variables || !t->gradients || !t->outputs) return CP_E_MEMORY;
    status = build_training(t);
    return status ? status : make_variables(t);
}

cp_status cp_trainer_new(cp_trainer **trainer, const cp_net *net, cp_ctx *ctx, const cp_train *train) {
    static const cp_train defaults;
    if (!trainer) return cp_fail(CP_E_ARG, "trainer is NULL");
    *trainer = NULL;
    if (!net) return cp_fail(CP_E_ARG, "net is NULL");
    if (!train) train = &defaults;
    cp_status status = check_options(train);
    if (!status) status = check_model(net);
    if (status) return status;
    cp_trainer *new = cp_zalloc(NULL, sizeof *new);
    if (!new) return CP_E_MEMORY;
    new->ctx = ctx;
    new->train = *train;
    fill_defaults(&new->train);
    status = start(new, net);
    if (!status)
        *trainer = new;
    else
        cp_trainer_free(new);
    return status;
}

void cp_trainer_free(cp_trainer *trainer) {
    if (!trainer) return;
    for (int i = 0; i < 2; i++) free_prepared(&trainer->recent[i]);
    cp_free(cp_ctx_allocator(&trainer->context), trainer->memory);
    cp_free(NULL, trainer->class_weights);
    cp_free(NULL, trainer->sums);
    cp_free(NULL, trainer->outputs);
    cp_free(NULL, trainer->gradients);
    cp_free(NULL, trainer->variables);
    cp_net_free(trainer->training);
    cp_net_free(trainer->net);
    cp_free(NULL, trainer);
}

/* ---------------------------------------------------------------------------------------------------------------
 * Steps
 * ------------------------------------------------------------------------------------------------------------- */

static bool lies_alike(const cp_tensor *a, const cp_tensor *b) {
    if (!cp_shape_same(a->shape, b->shape)) return false;
    for (int axis = 0; axis < a->shape.rank; axis++)
        if (a->stride[axis] != b->stride[axis]) return false;
    return true;
}

static cp_status plan_step(cp_trainer *t, cp_prepared_step *new, const cp_tensor *x, const cp_tensor *target) {
    const cp_tensor inputs[] = {*x, *target};
    const cp_plan_options options = {.type = t->train.type, .training = true, .inputs = inputs};
    *new = (cp_prepared_step){.x = *x, .target = *target};
    new->x.data = new->target.data = NULL;
    new->in_panels = cp_zalloc(NULL, t->n_variables);
    if (!new->in_panels) return CP_E_MEMORY;
    const cp_variables variables = {.gradients = t->gradients, .in_panels = new->in_panels};
    cp_status status = cp_net_plan_variables(&new->plan, t->ctx, t->training, &options, &variables);
    if (!status) status = cp_work_new(&new->work, new->plan);
    if (status) return status;
    new->logits = cp_alloc(NULL, cp_shape_count(cp_plan_output_shape(new->plan, 1)) * cp_type_size(t->train.type));
    return new->logits ? CP_OK : CP_E_MEMORY;
}

/* Makes recent[0] the step for these tensors. The one before stays at hand: the last batch of an epoch is often
 * smaller. */
static cp_status prepare(cp_trainer *t, const cp_tensor *x, const cp_tensor *target) {
    cp_prepared_step used = t->recent[0];
    bool known = false;
    for (int i = 0; i < 2 && !known; i++) {
        known = t->recent[i].plan && lies_alike(&t->recent[i].x, x) && lies_alike(&t->recent[i].target, target);
        if (known) used = t->recent[i];
        if (known && i == 1) t->recent[1] = t->recent[0];
    }
    if (!known) {
        const cp_status status = plan_step(t, &used, x, target);
        if (status) {
            free_prepared(&used);
            return status;
        }
        free_prepared(&t->recent[1]);
        t->recent[1] = t->recent[0];
    }
    t->recent[0] = used;
    for (int i = 0; i < t->n_variables; i++) {
        if (t->variables[i].in_panels == used.in_panels[i]) continue;
        const cp_status status = change_form(t, i, used.in_panels[i]);
        if (status) return status;
    }
    return CP_OK;
}

static cp_status check_labels(const cp_tensor *labels, int64_t classes) {
    for (int64_t i = 0; i < labels->shape.dim[0]; i++) {
        const int32_t label = ((const int32_t *)labels->data)[i * labels->stride[0]];
        if (label < 0 || label >= classes)
            return cp_fail(CP_E_ARG, "label %d at %lld: the model has %lld classes", (int)label, (long long)i,
                           (long long)classes);
    }
    return CP_OK;
}

static cp_status check_batch(const cp_trainer *t, const cp_tensor *x, const cp_tensor *target) {
    const bool classes = cp_loss_takes_labels(t->train.loss);
    char text[CP_SHAPE_TEXT];
    cp_status status = cp_check_tensor(x, t->train.type, "x");
    if (!status) status = cp_check_tensor(target, classes ? CP_I32 : t->train.type, "target");
    if (status) return status;
    if (x->shape.rank < 1 || x->shape.dim[0] == 0) return cp_fail(CP_E_SHAPE, "the batch is empty");
    if (!classes) return CP_OK;
    if (target->shape.rank != 1 || target->shape.dim[0] != x->shape.dim[0])
        return cp_fail(CP_E_SHAPE, "labels are %s, needed is one for each of the %lld rows of x",
                       cp_shape_text(target->shape, text), (long long)x->shape.dim[0]);
    return check_labels(target, cp_net_shape(t->net, cp_net_output_node(t->net, 0)).dim[1]);
}

/* Forward and backward: the loss, the logits and the gradients. */
static cp_status run(cp_trainer *t, const cp_tensor *x, const cp_tensor *target, double *loss) {
    cp_prepared_step *prepared = &t->recent[0];
    const int n = prepared->plan->n_outputs;
    double number = 0; /* or the float at its beginning */
    for (int i = 0; i < n; i++) t->outputs[i] = prepared->plan->outputs[i].tensor;
    t->outputs[0].data = &number;
    t->outputs[1].data = prepared->logits;
    for (int i = 0; i < t->n_variables; i++) {
        prepared->work->variables[i] = t->variables[i].weights;
        if (t->gradients[i] >= 0) t->outputs[t->gradients[i]].data = t->variables[i].gradient;
    }
    prepared->work->seed = t->train.seed;
    prepared->work->step = (uint64_t)t->step;
    const cp_status status =
        cp_plan_run(prepared->plan, prepared->work, (const cp_tensor[]){*x, *target}, 2, t->outputs, n);
    *loss = cp_get(&t->outputs[0], 0);
    return status;
}

int64_t cp_trainer_correct(const cp_trainer *t, const cp_tensor *labels) {
    const cp_tensor *logits = &t->outputs[1];
    int64_t correct = 0;
    for (int64_t i = 0; i < labels->shape.dim[0]; i++) {
        const cp_tensor row = cp_row(logits, i);
        correct += cp_answer(&row) == (int64_t)cp_get(labels, i * labels->stride[0]);
    }
    return correct;
}

/* Running moments become what the step made of them. */
static void follow(cp_trainer *t) {
    for (int i = 0; i < t->n_variables; i++) {
        const cp_variable *variable = &t->variables[i];
        if (variable->follows)
            memcpy(variable->weights, variable->gradient, (size_t)(plain_count(t, i) * cp_type_size(t->train.type)));
    }
}

cp_status cp_trainer_step(cp_trainer *trainer, const cp_tensor *x, const cp_tensor *target, double *loss,
                          int64_t *correct) {
    if (!trainer || !loss) return cp_fail(CP_E_ARG, "%s is NULL", trainer ? "loss" : "trainer");
    cp_status status = check_batch(trainer, x, target);
    if (!status) status = prepare(trainer, x, target);
    if (!status) status = run(trainer, x, target, loss);
    if (status) return status;
    if (!isfinite(*loss))
        return cp_fail(CP_E_DIVERGED, "the loss is not finite at step %lld", (long long)trainer->step + 1);
    const double begin = trainer->recent[0].work->timed ? cp_now() : 0;
    status = cp_optimizer_step(trainer, x->shape.dim[0]);
    if (status) return status;
    trainer->update_seconds = trainer->recent[0].work->timed ? cp_now() - begin : 0;
    follow(trainer);
    trainer->step++;
    if (correct) *correct = cp_loss_takes_labels(trainer->train.loss) ? cp_trainer_correct(trainer, target) : 0;
    return CP_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * What a trainer has
 * ------------------------------------------------------------------------------------------------------------- */

int64_t cp_trainer_steps(const cp_trainer *trainer) {
    return trainer ? trainer->step / trainer->train.accumulate : 0;
}

const cp_plan *cp_trainer_plan(const cp_trainer *trainer) {
    return trainer ? trainer->recent[0].plan : NULL;
}

cp_work *cp_trainer_work(const cp_trainer *trainer) {
    return trainer ? trainer->recent[0].work : NULL;
}

double cp_trainer_update_seconds(const cp_trainer *trainer) {
    return trainer ? trainer->update_seconds : 0;
}

static cp_status check_alike(const cp_net *a, const cp_net *b) {
    char text_a[CP_SHAPE_TEXT], text_b[CP_SHAPE_TEXT];
    if (cp_net_parameters(a) != cp_net_parameters(b))
        return cp_fail(CP_E_ARG, "the trainer has %d parameters, the net %d", cp_net_parameters(a),
                       cp_net_parameters(b));
    for (int i = 0; i < cp_net_parameters(a); i++) {
        const cp_shape shape_a = cp_net_shape(a, cp_net_parameter_node(a, i));
        const cp_shape shape_b = cp_net_shape(b, cp_net_parameter_node(b, i));
        if (strcmp(cp_net_parameter_name(a, i), cp_net_parameter_name(b, i)) || !cp_shape_same(shape_a, shape_b))
            return cp_fail(CP_E_ARG, "the trainer has '%s' %s where the net has '%s' %s", cp_net_parameter_name(a, i),
                           cp_shape_text(shape_a, text_a), cp_net_parameter_name(b, i), cp_shape_text(shape_b, text_b));
    }
    return CP_OK;
}

cp_status cp_trainer_export(const cp_trainer *trainer, cp_net *net) {
    if (!trainer || !net) return cp_fail(CP_E_ARG, "%s is NULL", trainer ? "net" : "trainer");
    cp_status status = check_alike(trainer->net, net);
    if (status) return status;
    for (int i = 0; i < trainer->n_variables; i++) {
        void *numbers;
        if ((status = cp_net_numbers(net, cp_net_parameter_node(net, i), &numbers))) return status;
        float *values = numbers;
        const double *weights = result_of(&trainer->variables[i]);
        if (trainer->train.type == CP_F32)
            cp_variable_read(trainer, i, weights, values);
        else
            for (int64_t e = 0; e < plain_count(trainer, i); e++) values[e] = (float)weights[e];
    }
    return CP_OK;
}
