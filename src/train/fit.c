/* Epochs: batches in an order drawn anew for each, validation, and word of the progress. */
#include "train/train.h"

#include <math.h>

enum { BATCH = 100 };

/* One call of cp_trainer_fit. Where it stands is in the trainer, so that it can go on from a checkpoint. */
typedef struct fitting {
    cp_trainer *trainer;
    const cp_data *data;
    const cp_fit *fit;
    int epochs;
    int64_t batch, count, steps; /* steps of an epoch */
    int64_t *order;              /* of the pictures in this epoch */
    float *images;
    double *images_double; /* where the trainer wants them so; else NULL */
    int32_t *labels;
    void *targets;  /* the labels as rows of 0 with a 1, where the loss wants values; else NULL */
    double seconds; /* of training in this epoch, and the pictures in them */
    int64_t timed;
} fitting;

static cp_status check(const fitting *f) {
    const cp_fit *fit = f->fit;
    cp_status status = cp_check_data(f->trainer->net, f->data);
    if (!status && fit->validation) status = cp_check_data(f->trainer->net, fit->validation);
    if (status) return status;
    if (fit->epochs < 0) return cp_fail(CP_E_ARG, "epochs = %d: must be at least 1", fit->epochs);
    if (fit->batch < 0) return cp_fail(CP_E_ARG, "batch = %lld: must be at least 1", (long long)fit->batch);
    if (f->count == 0 || (fit->validation && cp_data_count(fit->validation) == 0))
        return cp_fail(CP_E_ARG, "there are no images to %s on", f->count ? "validate" : "train");
    const cp_position *position = &f->trainer->position;
    if (position->steps > 0 && (position->count != f->count || position->batch != f->batch))
        return cp_fail(CP_E_ARG,
                       "epoch %lld was begun with %lld images in batches of %lld, here are %lld in batches of %lld",
                       (long long)position->epochs + 1, (long long)position->count, (long long)position->batch,
                       (long long)f->count, (long long)f->batch);
    return cp_check_reserved(fit->reserved, sizeof fit->reserved, "the options");
}

static cp_status allocate(fitting *f) {
    int64_t pixels = 1, floats;
    const cp_shape shape = cp_data_shape(f->data);
    for (int a = 1; a < shape.rank; a++) pixels *= shape.dim[a]; /* cannot overflow: the data is in memory */
    if (!cp_mul(pixels, f->batch, &floats) || !cp_mul(floats, (int64_t)sizeof(double), &floats))
        return cp_fail(CP_E_LIMIT, "batch = %lld: too many images at once", (long long)f->batch);
    f->order = cp_alloc(NULL, f->count * (int64_t)sizeof *f->order);
    f->images = cp_alloc(NULL, pixels * f->batch * (int64_t)sizeof *f->images);
    f->labels = cp_alloc(NULL, f->batch * (int64_t)sizeof *f->labels);
    if (!f->order || !f->images || !f->labels) return CP_E_MEMORY;
    if (f->trainer->train.type == CP_F32) return CP_OK;
    f->images_double = cp_alloc(NULL, floats);
    return f->images_double ? CP_OK : CP_E_MEMORY;
}

/* Of a row for each picture, as the net's output. */
static cp_shape targets_shape(const fitting *f, int64_t n) {
    const cp_net *net = f->trainer->net;
    return cp_shape_of(2, (int64_t[]){n, cp_net_shape(net, cp_net_output_node(net, 0)).dim[1]});
}

static cp_status allocate_targets(fitting *f) {
    const cp_train *train = &f->trainer->train;
    int64_t bytes;
    if (cp_loss_takes_labels(train->loss)) return CP_OK;
    if (!cp_mul(targets_shape(f, 1).dim[1], f->batch, &bytes) || !cp_mul(bytes, cp_type_size(train->type), &bytes))
        return cp_fail(CP_E_LIMIT, "batch = %lld: too many images at once", (long long)f->batch);
    f->targets = cp_alloc(NULL, bytes);
    return f->targets ? CP_OK : CP_E_MEMORY;
}

static void draw_order(fitting *f) {
    const cp_random_key key = {
        .seed = f->trainer->train.seed, .stream = CP_STREAM_ORDER, .step = (uint64_t)f->trainer->position.epochs};
    cp_random_permutation(&key, f->count, f->order);
    f->seconds = 0;
    f->timed = 0;
}

static cp_progress progress_of(const fitting *f) {
    const cp_position *position = &f->trainer->position;
    const double seen = (double)position->seen;
    return (cp_progress){.epoch = (int)position->epochs + 1,
                         .epochs = f->epochs,
                         .step = position->steps,
                         .steps = f->steps,
                         .loss = position->loss / seen,
                         .accuracy = (double)position->correct / seen,
                         .val_loss = NAN,
                         .val_accuracy = NAN,
                         .seconds = f->seconds,
                         .images_per_second = f->seconds > 0 ? (double)f->timed / f->seconds : 0};
}

static cp_status tell(const fitting *f, const cp_progress *progress) {
    if (!f->fit->progress || f->fit->progress(f->fit->user, progress)) return CP_OK;
    return cp_fail(CP_E_STOPPED, "stopped at step %lld of epoch %d", (long long)progress->step, progress->epoch);
}

/* The batch that comes next, as the trainer takes it. */
static cp_tensor load_batch(const fitting *f, int64_t first, int64_t n) {
    cp_shape shape = cp_data_shape(f->data);
    shape.dim[0] = n;
    if (f->fit->augment)
        cp_augment_batch(f->fit->augment, f->trainer->context.threads, f->data, f->order + first, n,
                         f->trainer->train.seed, f->trainer->position.epochs, f->images, f->labels);
    else
        cp_data_batch(f->data, f->order + first, 0, n, f->images, f->labels);
    if (!f->images_double) return cp_view(f->images, CP_F32, shape);
    for (int64_t i = 0; i < cp_shape_count(shape); i++) f->images_double[i] = (double)f->images[i];
    return cp_view(f->images_double, CP_F64, shape);
}

/* What the loss compares with. */
static cp_tensor load_targets(const fitting *f, const cp_tensor *labels) {
    if (!f->targets) return *labels;
    const int64_t n = labels->shape.dim[0];
    const cp_tensor targets = cp_view(f->targets, f->trainer->train.type, targets_shape(f, n));
    const int64_t classes = targets.shape.dim[1];
    for (int64_t e = 0; e < n * classes; e++) cp_put(&targets, e, f->labels[e / classes] == e % classes);
    return targets;
}

static cp_status step(fitting *f) {
    cp_position *position = &f->trainer->position;
    const int64_t first = position->steps * f->batch, left = f->count - first;
    const int64_t n = left < f->batch ? left : f->batch;
    double loss;
    const double begin = cp_now();
    const cp_tensor x = load_batch(f, first, n);
    const cp_tensor labels = cp_view(f->labels, CP_I32, cp_shape_of(1, &n));
    const cp_tensor targets = load_targets(f, &labels);
    const cp_status status = cp_trainer_step(f->trainer, &x, &targets, &loss, NULL);
    if (status) return status;
    f->seconds += cp_now() - begin;
    f->timed += n;
    position->count = f->count;
    position->batch = f->batch;
    position->steps++;
    position->seen += n;
    position->correct += cp_trainer_correct(f->trainer, &labels);
    position->loss += loss * (double)n;
    const cp_progress progress = progress_of(f);
    return tell(f, &progress);
}

/* Where the next epoch begins. */
static cp_position after_epoch(const cp_trainer *t, bool best, double value) {
    const cp_position *before = &t->position;
    cp_position after = {.epochs = before->epochs + 1, .best = value, .reductions = before->reductions};
    if (best) return after;
    after.best = before->best;
    after.stale = before->stale + 1;
    after.waited = before->waited + 1;
    if (t->train.schedule.kind == CP_PLATEAU && after.waited >= t->train.schedule.every) {
        after.reductions++;
        after.waited = 0;
    }
    return after;
}

static bool is_done(const fitting *f) {
    const cp_trainer *t = f->trainer;
    return t->position.epochs >= f->epochs || (t->train.patience > 0 && t->position.stale >= t->train.patience);
}

/* Validates, and moves on to the next epoch before anybody is told: a checkpoint that is saved then begins there. */
static cp_status end_epoch(fitting *f) {
    cp_trainer *t = f->trainer;
    cp_progress progress = progress_of(f);
    cp_score score;
    progress.epoch_end = true;
    double value = -progress.loss;
    if (f->fit->validation) {
        cp_status status = cp_trainer_export(t, t->net);
        if (!status) status = cp_net_evaluate(t->net, t->ctx, f->fit->validation, &score, NULL);
        if (status) return status;
        progress.val_loss = score.loss;
        progress.val_accuracy = value = (double)score.correct / (double)score.count;
    }
    progress.best = t->position.epochs == 0 || value > t->position.best;
    t->position = after_epoch(t, progress.best, value);
    progress.last = is_done(f);
    return tell(f, &progress);
}

static cp_status run(fitting *f) {
    cp_position *position = &f->trainer->position;
    cp_status status = CP_OK;
    draw_order(f);
    while (!status && !is_done(f)) {
        if (position->steps < f->steps) {
            status = step(f);
            continue;
        }
        status = end_epoch(f);
        draw_order(f);
    }
    return status;
}

cp_status cp_trainer_fit(cp_trainer *trainer, const cp_data *data, const cp_fit *fit) {
    static const cp_fit defaults;
    if (!trainer || !data) return cp_fail(CP_E_ARG, "%s is NULL", trainer ? "data" : "trainer");
    if (!fit) fit = &defaults;
    fitting f = {.trainer = trainer, .data = data, .fit = fit, .count = cp_data_count(data)};
    f.epochs = fit->epochs ? fit->epochs : 1;
    f.batch = fit->batch ? fit->batch : BATCH;
    if (f.batch > f.count && f.count > 0) f.batch = f.count;
    cp_status status = check(&f);
    if (status) return status;
    f.steps = (f.count + f.batch - 1) / f.batch;
    status = allocate(&f);
    if (!status) status = allocate_targets(&f);
    if (!status) status = run(&f);
    cp_free(NULL, f.order);
    cp_free(NULL, f.images);
    cp_free(NULL, f.images_double);
    cp_free(NULL, f.labels);
    cp_free(NULL, f.targets);
    return status;
}
