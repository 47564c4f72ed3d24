/* convpool train: trains a network on labelled pictures, saves it, and goes on where it was interrupted. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct options {
    const char *net, *augment, *output, *best, *log, *resume;
    pictures_source source;
    int64_t epochs, batch;
    computing computing;
    bool quiet;
    cp_train train;
    bool balanced;   /* --class-weights */
    int optimizer;   /* its number in the list of names */
    double momentum; /* -1: not given */
    cp_initializer initializer;
    int64_t step_epochs; /* --schedule step:EVERY, in epochs */
    const char *fixed;   /* an option given that --resume takes from the checkpoint, or NULL */
} options;

enum {
    OPTION_NET = 256,
    OPTION_DATA,
    OPTION_COUNT,
    OPTION_VALIDATION,
    OPTION_SIZE,
    OPTION_AUGMENT,
    OPTION_EPOCHS,
    OPTION_BATCH,
    OPTION_RATE,
    OPTION_OPTIMIZER,
    OPTION_MOMENTUM,
    OPTION_SCHEDULE,
    OPTION_DECAY,
    OPTION_CLIP,
    OPTION_AVERAGE,
    OPTION_ACCUMULATE,
    OPTION_PATIENCE,
    OPTION_LOSS,
    OPTION_SMOOTHING,
    OPTION_CLASS_WEIGHTS,
    OPTION_INITIALIZER,
    OPTION_SEED,
    OPTION_BEST,
    OPTION_LOG,
    OPTION_RESUME,
    OPTION_QUIET
};

static const struct argp_option option_list[] = {
    {"net", OPTION_NET, "TEXT", 0, "the layers; default: \"" ARTICLE_NET "\"", 1},
    {"initializer", OPTION_INITIALIZER, "NAME", 0, "first weights: glorot (default) or he", 1},
    {"data", OPTION_DATA, "DIR", 0,
     "folder with IDX files (train-images-idx3-ubyte, train-labels-idx1-ubyte and, for validation, t10k-...), "
     "CIFAR-10's "
     "or CIFAR-100's binary files, each also as .gz, or a folder of PNG and JPEG files for each class, possibly within "
     "train and test; default: digits drawn by the library",
     2},
    {"count", OPTION_COUNT, "N", 0, "draw N digits (default 60000), and a sixth of them for validation", 2},
    {"validation", OPTION_VALIDATION, "FRACTION", 0, "validate with this part of the training pictures", 2},
    {"size", OPTION_SIZE, "HxW", 0, "scale the pictures of class folders to this size; default: they have one", 2},
    {"augment", OPTION_AUGMENT, "TEXT", 0,
     "change each picture at random in each epoch: \"shift 2; rotate 10; scale 0.9:1.1; elastic; flip; erase; crop\", "
     "those of them that are wanted; 'convpool data --training --augment TEXT' shows one",
     2},
    {"epochs", OPTION_EPOCHS, "N", 0, "passes over the pictures, in all (default 5)", 3},
    {"batch", OPTION_BATCH, "N", 0, "pictures in a step (default 100)", 3},
    {"accumulate", OPTION_ACCUMULATE, "N", 0, "batches in a step of the optimizer (default 1)", 3},
    {"patience", OPTION_PATIENCE, "N", 0, "end after so many epochs that were no better (default: never)", 3},
    {"loss", OPTION_LOSS, "NAME", 0,
     "cross-entropy (default), focal[:GAMMA] (2), hinge; or, with rows of 0 with a 1, squared-error, "
     "binary-cross-entropy, huber[:DELTA] (1)",
     3},
    {"class-weights", OPTION_CLASS_WEIGHTS, "NAME", 0,
     "cross-entropy: equal (default), or balanced, where rare classes count as much as frequent ones", 3},
    {"smoothing", OPTION_SMOOTHING, "X", 0, "cross-entropy: this part of a label goes to all classes (default 0)", 3},
    {"optimizer", OPTION_OPTIMIZER, "NAME", 0,
     "adam (default), adam-paper (epsilon after the correction), adamw (decoupled decay), sgd, momentum, nesterov, "
     "rmsprop, adagrad, lion",
     3},
    {"rate", OPTION_RATE, "X", 0, "learning rate (default 0.001)", 3},
    {"momentum", OPTION_MOMENTUM, "X", 0, "of momentum and nesterov (default 0.9)", 3},
    {"schedule", OPTION_SCHEDULE, "WORDS", 0,
     "constant (default), step:EPOCHS[:FACTOR] (times FACTOR, 0.1, every so many epochs), cosine[:FACTOR] (down to "
     "FACTOR, 0, of the rate) or plateau[:FACTOR[:PATIENCE]] (times FACTOR, 0.1, whenever PATIENCE, 10, "
     "epochs were no "
     "better); ,warmup:STEPS behind it lets the rate rise in the first steps",
     3},
    {"decay", OPTION_DECAY, "X", 0,
     "weight decay, added to the gradient; of adamw and lion taken from the weights (default 0)", 3},
    {"clip", OPTION_CLIP, "X", 0, "greatest norm of the gradient (default: any)", 3},
    {"average", OPTION_AVERAGE, "DECAY", 0,
     "validate and save a moving average of the weights that keeps DECAY of itself in a step (default 0.999; 0: the "
     "weights of the last step)",
     3},
    {"seed", OPTION_SEED, "N", 0, "of weights, order, dropout and drawn digits (default 1)", 3},
    {"output", 'o', "FILE", 0, "write the model here, ready to be resumed", 5},
    {"save-best", OPTION_BEST, "FILE", 0, "write the model of the best epoch here", 5},
    {"log", OPTION_LOG, "FILE", 0, "write a line of JSON for each epoch", 5},
    {"resume", OPTION_RESUME, "FILE", 0, "go on with a model that train wrote, to the same bits as without a break", 5},
    {"quiet", OPTION_QUIET, NULL, 0, "print nothing but errors", 5},
    {0}};

/* constant | step:EVERY[:FACTOR] | cosine[:FACTOR] | plateau[:FACTOR[:EVERY]], each with ,warmup:STEPS behind. */
static void parse_schedule(options *o, const char *text) {
    char copy[128];
    if (strlen(text) >= sizeof copy) usage("schedule = %.40s...: too long", text);
    strcpy(copy, text);
    char *warmup = strchr(copy, ',');
    if (warmup) *warmup++ = 0;
    char *value = strchr(copy, ':');
    if (value) *value++ = 0;
    static const char *const kinds[] = {"constant", "step", "cosine", "plateau", NULL};
    cp_schedule *schedule = &o->train.schedule;
    *schedule = (cp_schedule){.kind = (cp_schedule_kind)arg_choice("schedule", copy, kinds)};
    if (schedule->kind == CP_CONSTANT && value) usage("schedule = %s: constant has no value", text);
    if (schedule->kind == CP_STEPPED) {
        if (!value) usage("schedule = %s: must be step:EPOCHS or step:EPOCHS:FACTOR", text);
        char *factor = strchr(value, ':');
        if (factor) *factor++ = 0;
        o->step_epochs = arg_int("schedule step", value, 1, 1000000);
        schedule->factor = factor ? (float)arg_real("schedule factor", factor, 1e-6, 1) : 0;
    }
    if (schedule->kind == CP_COSINE && value) schedule->factor = (float)arg_real("schedule factor", value, 0, 1);
    if (schedule->kind == CP_PLATEAU) {
        char *patience = value ? strchr(value, ':') : NULL;
        if (patience) *patience++ = 0;
        schedule->factor = value ? (float)arg_real("schedule factor", value, 1e-6, 1) : 0;
        schedule->every = patience ? arg_int("schedule patience", patience, 1, 1000000) : 10;
    }
    if (!warmup) return;
    if (strncmp(warmup, "warmup:", 7)) usage("schedule = %s: behind the comma must be warmup:STEPS", text);
    schedule->warmup = arg_int("schedule warmup", warmup + 7, 0, 1000000000);
}

/* NAME[:PARAMETER], the latter of focal and huber only. */
static void parse_loss(options *o, const char *text) {
    static const char *const losses[] = {
        "cross-entropy", "squared-error", "binary-cross-entropy", "focal", "hinge", "huber", NULL}; /* by value */
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    char *value = strchr(copy, ':');
    if (value) *value++ = 0;
    o->train.loss = (cp_loss)arg_choice("loss", copy, losses);
    if (value && o->train.loss != CP_FOCAL && o->train.loss != CP_HUBER)
        usage("loss = %s: %s has no value", text, copy);
    if (value && o->train.loss == CP_FOCAL) o->train.gamma = (float)arg_real("loss gamma", value, 1e-6, 1e6);
    if (value && o->train.loss == CP_HUBER) o->train.delta = (float)arg_real("loss delta", value, 1e-6, 1e6);
}

static const char *const optimizers[] = {"adam",  "adam-paper", "sgd",     "momentum", "nesterov",
                                         "adamw", "rmsprop",    "adagrad", "lion",     NULL};
enum { MOMENTUM = 3, NESTEROV };
static const cp_optimizer optimizer_kinds[] = {CP_ADAM,  CP_ADAM_PAPER, CP_SGD,     CP_SGD, CP_SGD,
                                               CP_ADAMW, CP_RMSPROP,    CP_ADAGRAD, CP_LION};

static void choose_optimizer(options *o) {
    const bool has_momentum = o->optimizer == MOMENTUM || o->optimizer == NESTEROV;
    if (o->momentum >= 0 && !has_momentum) usage("--momentum is for --optimizer momentum or nesterov");
    o->train.optimizer = optimizer_kinds[o->optimizer];
    o->train.nesterov = o->optimizer == NESTEROV;
    if (has_momentum) o->train.momentum = o->momentum >= 0 ? (float)o->momentum : 0.9f;
}

static const char *option_name(int key) {
    for (const struct argp_option *option = option_list; option->name; option++)
        if (option->key == key) return option->name;
    return NULL;
}

static error_t parse(int key, char *text, struct argp_state *state) {
    options *o = state->input;
    static const char *const initializers[] = {"glorot", "he", NULL};
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[ARGS_COMPUTING] = &o->computing;
        return 0;
    case OPTION_DATA:
        o->source.folder = text;
        return 0;
    case OPTION_EPOCHS:
        o->epochs = arg_int("epochs", text, 1, 1000000);
        return 0;
    case 'o':
        o->output = text;
        return 0;
    case OPTION_BEST:
        o->best = text;
        return 0;
    case OPTION_LOG:
        o->log = text;
        return 0;
    case OPTION_RESUME:
        o->resume = text;
        return 0;
    case OPTION_QUIET:
        o->quiet = true;
        return 0;
    default:
        break;
    }
    /* All that follows is part of the checkpoint that --resume continues. */
    switch (key) {
    case OPTION_NET:
        o->net = text;
        break;
    case OPTION_COUNT:
        o->source.count = arg_int("count", text, 1, 100000000);
        break;
    case OPTION_VALIDATION:
        o->source.validation = arg_real("validation", text, 1e-6, 0.999999);
        break;
    case OPTION_SIZE:
        arg_size(&o->source, text);
        break;
    case OPTION_AUGMENT:
        o->augment = text;
        break;
    case OPTION_BATCH:
        o->batch = arg_int("batch", text, 1, 1000000);
        break;
    case OPTION_RATE:
        o->train.rate = (float)arg_real("rate", text, 1e-12, 1e6);
        break;
    case OPTION_OPTIMIZER:
        o->optimizer = arg_choice("optimizer", text, optimizers);
        break;
    case OPTION_MOMENTUM:
        o->momentum = arg_real("momentum", text, 0, 0.999999);
        break;
    case OPTION_SCHEDULE:
        parse_schedule(o, text);
        break;
    case OPTION_DECAY:
        o->train.decay = (float)arg_real("decay", text, 0, 1e6);
        break;
    case OPTION_CLIP:
        o->train.clip = (float)arg_real("clip", text, 1e-12, 1e12);
        break;
    case OPTION_AVERAGE:
        o->train.average = (float)arg_real("average", text, 0, 0.999999);
        break;
    case OPTION_ACCUMULATE:
        o->train.accumulate = arg_int("accumulate", text, 1, 1000000);
        break;
    case OPTION_PATIENCE:
        o->train.patience = arg_int("patience", text, 1, 1000000);
        break;
    case OPTION_LOSS:
        parse_loss(o, text);
        break;
    case OPTION_CLASS_WEIGHTS:
        o->balanced = arg_choice("class-weights", text, (const char *const[]){"equal", "balanced", NULL}) == 1;
        break;
    case OPTION_SMOOTHING:
        o->train.smoothing = (float)arg_real("smoothing", text, 0, 0.999999);
        break;
    case OPTION_INITIALIZER:
        o->initializer = (cp_initializer)arg_choice("initializer", text, initializers);
        break;
    case OPTION_SEED:
        o->train.seed = o->source.seed = arg_seed(text);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    o->fixed = option_name(key);
    return 0;
}

static void check_options(const options *o) {
    const struct {
        const char *name, *path;
    } written[] = {{"-o", o->output}, {"--save-best", o->best}, {"--log", o->log}};
    for (int i = 0; i < 3; i++) {
        for (int j = i + 1; j < 3; j++)
            if (written[i].path && written[j].path && same_file(written[i].path, written[j].path))
                usage("%s and %s are the same file, %s", written[i].name, written[j].name, written[j].path);
        /* -o may replace what is resumed: that is the same training, further on. */
        if (i > 0 && o->resume && written[i].path && same_file(o->resume, written[i].path))
            usage("%s and --resume are the same file, %s", written[i].name, o->resume);
    }
    if (o->resume && o->fixed) usage("--%s cannot be given with --resume: the file has it", o->fixed);
    if (o->balanced && o->train.loss != CP_SOFTMAX_CROSS_ENTROPY) usage("--class-weights is for --loss cross-entropy");
    if (o->train.smoothing > 0 && o->train.loss != CP_SOFTMAX_CROSS_ENTROPY)
        usage("--smoothing is for --loss cross-entropy");
    if (o->source.validation > 0 && o->source.count < 2) usage("count = 1: cannot be split for validation");
}

static int check_outputs(const options *o) {
    const char *const paths[] = {o->output, o->best, o->log};
    for (int i = 0; i < 3; i++) {
        const int status = paths[i] ? check_output(paths[i]) : STATUS_OK;
        if (status) return status;
    }
    return STATUS_OK;
}

/* --- what the model's notes keep --- */

static json_t *training_note(const options *o, const cp_data *training) {
    char checksum[16];
    snprintf(checksum, sizeof checksum, "%08x", pictures_checksum(training));
    json_t *note = json_object();
    json_object_set_new(note, "data", json_string(o->source.folder ? "folder" : "digits"));
    json_object_set_new(note, "count", json_integer(o->source.count));
    json_object_set_new(note, "seed", json_integer((json_int_t)o->source.seed));
    json_object_set_new(note, "validation", json_real(o->source.validation));
    json_object_set_new(note, "batch", json_integer(o->batch));
    if (o->augment) json_object_set_new(note, "augment", json_string(o->augment));
    json_object_set_new(note, "checksum", json_string(checksum));
    return note;
}

static double mean_border(const cp_data *data) {
    const cp_shape shape = cp_data_shape(data);
    const int64_t n = cp_data_count(data) < 100 ? cp_data_count(data) : 100;
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += border_brightness(cp_data_image(data, i), shape.dim[1], shape.dim[2], (int)shape.dim[3]);
    return n ? sum / (double)n : 0;
}

static cp_status set_json_note(cp_net *net, const char *name, json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    if (!text) return CP_E_MEMORY;
    const cp_status status = cp_net_set_note(net, name, text);
    free(text);
    return status;
}

static int set_notes(cp_net *net, const options *o, const cp_data *training) {
    json_t *classes = json_incref(o->source.classes);
    if (!classes) {
        classes = json_array();
        for (int i = 0; i < cp_data_classes(training); i++) json_array_append_new(classes, json_sprintf("%d", i));
    }
    cp_status status = set_json_note(net, NOTE_CLASSES, classes);
    if (!status && cp_data_shape(training).dim[3] == 1) /* photographs have no ink */
        status = cp_net_set_note(net, NOTE_INK, mean_border(training) > 0.5 ? "dark on light" : "light on dark");
    if (!status) status = set_json_note(net, NOTE_TRAINING, training_note(o, training));
    return status ? fail_library(status) : STATUS_OK;
}

/* --- a training --- */

typedef struct training {
    options *options;
    cp_ctx *ctx;
    cp_net *net; /* of the trainer's layers and notes */
    cp_trainer *trainer;
    cp_data *pictures, *validation;
    cp_augment *augment; /* NULL: none */
    FILE *log;
    int status; /* of saving the best epoch */
} training;

/* How the pictures were chosen is in the checkpoint; where they are may have changed. */
static int read_training_note(training *t) {
    options *o = t->options;
    const char *text = cp_net_note(t->net, NOTE_TRAINING);
    json_t *note = text ? json_loads(text, 0, NULL) : NULL;
    const char *data = json_string_value(json_object_get(note, "data"));
    o->source.count = json_integer_value(json_object_get(note, "count"));
    o->source.seed = (uint64_t)json_integer_value(json_object_get(note, "seed"));
    o->source.validation = json_real_value(json_object_get(note, "validation"));
    o->batch = json_integer_value(json_object_get(note, "batch"));
    const bool valid =
        data && o->source.count > 0 && o->batch > 0 && o->source.validation >= 0 && o->source.validation < 1;
    const bool drawn = data && !strcmp(data, "digits");
    json_decref(note);
    if (!valid) return fail(STATUS_INPUT, "%s: has no note of how it was trained, so it cannot be resumed", o->resume);
    if (!drawn && !o->source.folder) usage("%s was trained with a folder of pictures: give --data DIR", o->resume);
    if (drawn && o->source.folder) usage("%s was trained with drawn digits: --data cannot be given", o->resume);
    return STATUS_OK;
}

static int check_same_pictures(const training *t) {
    json_t *note = json_loads(cp_net_note(t->net, NOTE_TRAINING), 0, NULL);
    const char *expected = json_string_value(json_object_get(note, "checksum"));
    char checksum[16];
    snprintf(checksum, sizeof checksum, "%08x", pictures_checksum(t->pictures));
    const bool same = expected && !strcmp(expected, checksum);
    json_decref(note);
    return same ? STATUS_OK : fail(STATUS_INPUT, "%s: was trained with other pictures than these", t->options->resume);
}

static int make_augment(training *t, const char *text) {
    const cp_status status = text ? cp_augment_new(&t->augment, text) : CP_OK;
    return status ? fail_library(status) : STATUS_OK;
}

static int resume_augment(training *t) {
    json_t *note = json_loads(cp_net_note(t->net, NOTE_TRAINING), 0, NULL);
    const int status = make_augment(t, json_string_value(json_object_get(note, "augment")));
    json_decref(note);
    return status;
}

static int resume(training *t) {
    options *o = t->options;
    int status = load_net(&t->net, o->resume);
    if (!status) status = read_training_note(t);
    if (!status) source_like_net(&o->source, t->net);
    if (!status) status = load_training(&o->source, &t->pictures, &t->validation);
    if (!status) status = check_same_pictures(t);
    if (!status) status = resume_augment(t);
    if (status) return status;
    const cp_status loaded = cp_trainer_load(&t->trainer, t->ctx, o->resume);
    return loaded ? fail_library(loaded) : STATUS_OK;
}

static int64_t at_least_one(int64_t steps) {
    return steps > 0 ? steps : 1;
}

/* pictures / (classes * pictures of the class), so that all classes weigh alike and a picture 1 on average; 1 where
 * there are none. To be freed; NULL where the net's output is no matrix, which the trainer refuses. */
static float *balanced_weights(const training *t) {
    const cp_data *data = t->pictures;
    const cp_shape output = cp_net_shape(t->net, cp_net_output_node(t->net, 0));
    const int classes = cp_data_classes(data);
    if (output.rank != 2 || output.dim[1] < classes) return NULL;
    float *weights = allocate((size_t)output.dim[1], sizeof *weights);
    for (int64_t i = 0; i < cp_data_count(data); i++) weights[cp_data_label(data, i)]++;
    for (int64_t c = 0; c < output.dim[1]; c++)
        weights[c] = weights[c] > 0 ? (float)cp_data_count(data) / ((float)classes * weights[c]) : 1;
    return weights;
}

static int begin(training *t) {
    options *o = t->options;
    int status = make_augment(t, o->augment);
    if (!status) status = load_training(&o->source, &t->pictures, &t->validation);
    if (status) return status;
    const int64_t batches = (cp_data_count(t->pictures) + o->batch - 1) / o->batch;
    const int64_t together = o->train.accumulate ? o->train.accumulate : 1;
    cp_shape input = cp_data_shape(t->pictures);
    input.dim[0] = 0;
    if (o->train.schedule.kind == CP_STEPPED)
        o->train.schedule.every = at_least_one(o->step_epochs * batches / together);
    if (o->train.schedule.kind == CP_COSINE) o->train.schedule.total = at_least_one(o->epochs * batches / together);
    status = build_net(&t->net, input, o->net);
    if (!status) status = set_notes(t->net, o, t->pictures);
    if (status) return status;
    cp_status made = cp_net_initialize(t->net, o->initializer, o->train.seed);
    float *weights = o->balanced ? balanced_weights(t) : NULL;
    o->train.class_weights = weights;
    if (!made) made = cp_trainer_new(&t->trainer, t->net, t->ctx, &o->train);
    o->train.class_weights = NULL;
    free(weights);
    return made ? fail_library(made) : STATUS_OK;
}

static void describe(const training *t) {
    char pictures[GROUPED_TEXT], validation[GROUPED_TEXT], parameters[GROUPED_TEXT];
    int64_t count = 0;
    for (int i = 0; i < cp_net_parameters(t->net); i++) count += cp_shape_count(cp_net_parameter(t->net, i).shape);
    printf("%s parameters, %s pictures to train with, %s to validate, %d thread%s, %s\n", grouped(count, parameters),
           grouped(cp_data_count(t->pictures), pictures),
           grouped(t->validation ? cp_data_count(t->validation) : 0, validation), cp_ctx_threads(t->ctx),
           cp_ctx_threads(t->ctx) > 1 ? "s" : "", cp_ctx_isa(t->ctx));
    fflush(stdout);
}

static void save_best(void *user) {
    training *t = user;
    cp_status status = cp_trainer_export(t->trainer, t->net);
    if (!status) status = cp_net_save(t->net, t->options->best);
    if (status) t->status = fail_library(status);
}

static int save(const training *t) {
    if (!t->options->output) return STATUS_OK;
    const cp_status status = cp_trainer_save(t->trainer, t->options->output);
    return status ? fail_library(status) : STATUS_OK;
}

static int report(const training *t) {
    if (!t->validation || t->options->quiet) return STATUS_OK;
    cp_score score;
    cp_status status = cp_trainer_export(t->trainer, t->net);
    if (!status) status = cp_net_evaluate(t->net, t->ctx, t->validation, &score, NULL);
    if (status) return fail_library(status);
    char count[GROUPED_TEXT];
    printf("accuracy on %s pictures it has not seen: %.2f %%\n", grouped(score.count, count),
           100 * (double)score.correct / (double)score.count);
    if (t->options->output) printf("model: %s\n", t->options->output);
    return STATUS_OK;
}

static int interrupted(const training *t) {
    const options *o = t->options;
    const int status = save(t);
    if (status) return status;
    if (!o->output) {
        notice("interrupted after %lld steps; nothing saved, as there is no -o",
               (long long)cp_trainer_steps(t->trainer));
    } else {
        notice("interrupted after %lld steps; to go on: convpool train --resume %s --epochs %lld%s%s -o %s",
               (long long)cp_trainer_steps(t->trainer), o->output, (long long)o->epochs,
               o->source.folder ? " --data " : "", o->source.folder ? o->source.folder : "", o->output);
    }
    return 128 + caught_signal();
}

static int fit(training *t) {
    const options *o = t->options;
    if (!o->quiet) describe(t);
    catch_signals();
    progress *shown = progress_new(
        &(progress_options){.log = t->log, .quiet = o->quiet, .at_best = o->best ? save_best : NULL, .user = t});
    const cp_status status = cp_trainer_fit(t->trainer, t->pictures,
                                            &(cp_fit){.epochs = (int)o->epochs,
                                                      .batch = o->batch,
                                                      .validation = t->validation,
                                                      .augment = t->augment,
                                                      .progress = progress_step,
                                                      .user = shown});
    progress_free(shown);
    if (status == CP_E_STOPPED) return interrupted(t);
    int result = status ? fail_library(status) : STATUS_OK;
    /* A training that diverged is kept as well: its parameters are those before the bad step. */
    const int saved = save(t);
    if (!result) result = saved;
    return result ? result : report(t);
}

static int open_log(training *t) {
    const options *o = t->options;
    if (!o->log) return STATUS_OK;
    t->log = fopen(o->log, o->resume ? "a" : "w");
    return t->log ? STATUS_OK : fail(STATUS_IO, "%s: %s", o->log, strerror(errno));
}

static int close_log(training *t) {
    if (!t->log) return STATUS_OK;
    const bool failed = ferror(t->log);
    if (!fclose(t->log) && !failed) return STATUS_OK;
    return fail(STATUS_IO, "%s: cannot write: %s", t->options->log, strerror(errno));
}

int cmd_train(int argc, char **argv) {
    options o = {.net = ARTICLE_NET,
                 .source = PICTURES_DEFAULT,
                 .epochs = 5,
                 .batch = 100,
                 .train.seed = 1,
                 .momentum = -1,
                 .train.average = 0.999f};
    const struct argp parser = {
        .options = option_list,
        .parser = parse,
        .doc = "Trains a network on labelled pictures.\v"
               "The first Ctrl-C ends the batch and saves; the second one ends at once. Layers of --net: conv, pool, "
               "avg-pool, flatten, dense, dropout and the activations, as 'convpool summary --net TEXT' shows them; { "
               "A | B } adds two branches; lenet5, resnet8 and vgg6 are whole nets.",
        .children = args_computing};
    args_parse(&parser, "train", argc, argv, &o);
    check_options(&o);
    choose_optimizer(&o);

    training t = {.options = &o};
    int status = check_outputs(&o);
    if (!status) status = new_context(&t.ctx, o.computing.threads, o.computing.math);
    if (!status) status = o.resume ? resume(&t) : begin(&t);
    if (!status) status = open_log(&t);
    if (!status) status = fit(&t);
    const int logged = close_log(&t);
    cp_trainer_free(t.trainer);
    cp_net_free(t.net);
    cp_data_free(t.pictures);
    cp_data_free(t.validation);
    cp_augment_free(t.augment);
    json_decref(o.source.classes);
    cp_ctx_free(t.ctx);
    return status ? status : t.status ? t.status : logged;
}
