/* Checkpoints: a model, and beside it the optimizer's moments, and as JSON the options and where the training stands.
 */
#include "train/train.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------------
 * The trainer's state, member by member
 * ------------------------------------------------------------------------------------------------------------- */

typedef enum member_kind { WORD, SEED, REAL, FLAG, COUNT, EXACT } member_kind;

typedef struct member {
    const char *name;
    member_kind kind;
    size_t offset; /* in cp_trainer */
    const char *const *words;
} member;

static const char *const optimizers[] = {"adam", "adam_paper", "sgd", "adamw", "rmsprop", "adagrad", "lion", NULL};
static const char *const losses[] = {
    "softmax_cross_entropy", "mean_squared_error", "binary_cross_entropy", "focal", "hinge", "huber", NULL};
static const char *const schedules[] = {"constant", "stepped", "cosine", "plateau", NULL};
static const char *const types[] = {"f32", "f64", NULL};

#define MEMBER(member, kind, words)                                                                                    \
    { #member, kind, offsetof(cp_trainer, member), words }
static const member members[] = {
    MEMBER(train.optimizer, WORD, optimizers),
    MEMBER(train.rate, REAL, NULL),
    MEMBER(train.beta1, REAL, NULL),
    MEMBER(train.beta2, REAL, NULL),
    MEMBER(train.epsilon, REAL, NULL),
    MEMBER(train.momentum, REAL, NULL),
    MEMBER(train.nesterov, FLAG, NULL),
    MEMBER(train.decay, REAL, NULL),
    MEMBER(train.clip, REAL, NULL),
    MEMBER(train.average, REAL, NULL),
    MEMBER(train.loss, WORD, losses),
    MEMBER(train.smoothing, REAL, NULL),
    MEMBER(train.gamma, REAL, NULL),
    MEMBER(train.delta, REAL, NULL),
    MEMBER(train.accumulate, COUNT, NULL),
    MEMBER(train.patience, COUNT, NULL),
    MEMBER(train.schedule.kind, WORD, schedules),
    MEMBER(train.schedule.warmup, COUNT, NULL),
    MEMBER(train.schedule.every, COUNT, NULL),
    MEMBER(train.schedule.total, COUNT, NULL),
    MEMBER(train.schedule.factor, REAL, NULL),
    MEMBER(train.type, WORD, types),
    MEMBER(train.seed, SEED, NULL),
    MEMBER(step, COUNT, NULL),
    MEMBER(rows, COUNT, NULL),
    MEMBER(position.epochs, COUNT, NULL),
    MEMBER(position.steps, COUNT, NULL),
    MEMBER(position.count, COUNT, NULL),
    MEMBER(position.batch, COUNT, NULL),
    MEMBER(position.seen, COUNT, NULL),
    MEMBER(position.correct, COUNT, NULL),
    MEMBER(position.loss, EXACT, NULL),
    MEMBER(position.best, EXACT, NULL),
    MEMBER(position.stale, COUNT, NULL),
    MEMBER(position.waited, COUNT, NULL),
    MEMBER(position.reductions, COUNT, NULL),
};
enum { MEMBERS = sizeof members / sizeof *members };

/* A list of numbers, where there are any. */
#define CLASS_WEIGHTS "train.class_weights"

static void add_member(cp_text *text, const member *m, const char *at) {
    cp_text_add_json(text, m->name);
    cp_text_add(text, ":");
    switch (m->kind) {
    case WORD:
        cp_text_add_json(text, m->words[*(const unsigned *)at]);
        break;
    case SEED: /* a text: readers of JSON take numbers for doubles */
        cp_text_add(text, "\"%" PRIu64 "\"", *(const uint64_t *)at);
        break;
    case REAL:
        cp_text_add_real(text, (double)*(const float *)at);
        break;
    case FLAG:
        cp_text_add(text, *(const bool *)at ? "true" : "false");
        break;
    case COUNT:
        cp_text_add(text, "%" PRId64, *(const int64_t *)at);
        break;
    case EXACT:
        cp_text_add_real(text, *(const double *)at);
        break;
    }
}

static char *describe(const cp_trainer *trainer) {
    cp_text text = {0};
    for (int i = 0; i < MEMBERS; i++) {
        cp_text_add(&text, i ? "," : "{");
        add_member(&text, &members[i], (const char *)trainer + members[i].offset);
    }
    const float *weights = trainer->class_weights;
    for (int64_t c = 0; weights && c < cp_output_columns(trainer->net); c++) {
        cp_text_add(&text, c ? "," : ",\"" CLASS_WEIGHTS "\":[");
        cp_text_add_real(&text, (double)weights[c]);
    }
    cp_text_add(&text, weights ? "]}" : "}");
    return cp_text_take(&text);
}

/* Digits only: strtoull alone would take signs and spaces. */
static bool read_seed(const char *text, uint64_t *seed) {
    char *end;
    if (*text < '0' || *text > '9') return false;
    errno = 0;
    *seed = strtoull(text, &end, 10);
    return *end == 0 && errno == 0;
}

/* False where the value is none of the member's kind. */
static bool read_member(const member *m, const cp_json_value *value, char *at) {
    unsigned word = 0;
    switch (m->kind) {
    case WORD:
        if (value->kind != CP_JSON_STRING) return false;
        while (m->words[word] && strcmp(m->words[word], value->text)) word++;
        *(unsigned *)at = word;
        return m->words[word];
    case SEED:
        return value->kind == CP_JSON_STRING && read_seed(value->text, (uint64_t *)at);
    case REAL:
        *(float *)at = (float)value->number;
        return value->kind == CP_JSON_NUMBER;
    case FLAG:
        *(bool *)at = value->number != 0;
        return value->kind == CP_JSON_BOOL;
    case COUNT:
        return cp_json_integer(value, (int64_t *)at) && *(int64_t *)at >= 0;
    case EXACT:
        *(double *)at = value->number;
        return value->kind == CP_JSON_NUMBER;
    }
    return false;
}

/* What fit counts with. */
static bool is_possible(const cp_position *p) {
    return p->epochs < INT32_MAX && p->steps <= p->count && p->batch <= p->count && p->correct <= p->seen &&
           p->seen <= p->count && p->stale <= p->epochs && p->waited <= p->stale && p->reductions <= p->epochs;
}

/* *weights is NULL where there are none; to be freed. */
static cp_status read_class_weights(float **weights, const cp_json *json, int64_t classes) {
    const cp_json_value *list = cp_json_member(json, &json->value[1], CLASS_WEIGHTS), *value;
    *weights = NULL;
    if (!list) return CP_OK;
    *weights = cp_alloc(NULL, (classes ? classes : 1) * (int64_t)sizeof **weights);
    if (!*weights) return CP_E_MEMORY;
    for (int64_t c = 0; c <= classes; c++) {
        value = cp_json_element(json, list, c);
        if (!value != (c == classes) || (value && value->kind != CP_JSON_NUMBER))
            return cp_fail(CP_E_FORMAT, "'%s' must be %lld numbers", CLASS_WEIGHTS, (long long)classes);
        if (value) (*weights)[c] = (float)value->number;
    }
    return CP_OK;
}

/* The state in a note of a trainer with so many classes; of *state only the members above are set, and class_weights,
 * to be freed. */
static cp_status read_state(const char *note, cp_trainer *state, int64_t classes) {
    cp_json json;
    cp_status status = cp_json_parse(&json, note, (int64_t)strlen(note));
    for (int i = 0; i < MEMBERS && !status; i++) {
        const cp_json_value *value = cp_json_member(&json, &json.value[1], members[i].name);
        if (!value || !read_member(&members[i], value, (char *)state + members[i].offset))
            status = cp_fail(CP_E_FORMAT, "'%s' is missing or wrong", members[i].name);
    }
    if (!status && !is_possible(&state->position)) status = cp_fail(CP_E_FORMAT, "an impossible position");
    if (!status) status = read_class_weights(&state->class_weights, &json, classes);
    state->train.class_weights = state->class_weights;
    cp_json_free(&json);
    return status ? cp_fail_within(status, "note '%s'", CP_TRAINER_NOTE) : CP_OK;
}

/* ---------------------------------------------------------------------------------------------------------------
 * Variables
 * ------------------------------------------------------------------------------------------------------------- */

/* The arrays of a variable that go into a file, and what is before the parameter's name there. What has no prefix is
 * the model. */
enum { ARRAYS = 5 };
static const char *const prefixes[ARRAYS] = {"", CP_PREFIX_WEIGHTS, CP_PREFIX_M, CP_PREFIX_V, CP_PREFIX_MEAN};

static void *array_of(const cp_variable *variable, int a) {
    void *const arrays[ARRAYS] = {variable->average ? variable->average : variable->weights,
                                  variable->average ? variable->weights : NULL, variable->m, variable->v,
                                  variable->mean};
    return arrays[a];
}

/* Room for the largest of the parameters. */
static void *new_plain(const cp_trainer *trainer) {
    int64_t most = 0;
    for (int i = 0; i < trainer->n_variables; i++) {
        const int64_t count = cp_shape_count(cp_net_shape(trainer->net, cp_net_parameter_node(trainer->net, i)));
        if (count > most) most = count;
    }
    return cp_alloc(NULL, most * cp_type_size(trainer->train.type));
}

static bool is_finite(cp_type type, const void *values, int64_t count) {
    const cp_tensor tensor = cp_view(values, type, cp_shape_of(1, &count));
    for (int64_t e = 0; e < count; e++)
        if (!isfinite(cp_get(&tensor, e))) return false;
    return true;
}

/* A good file must not be replaced by weights that nobody can go on from. */
static cp_status add_array(cp_model_writer *writer, const cp_trainer *t, int i, int a, void *plain) {
    cp_variable_read(t, i, array_of(&t->variables[i], a), plain);
    if (!is_finite(t->train.type, plain, cp_shape_count(cp_net_shape(t->net, cp_net_parameter_node(t->net, i)))))
        return cp_fail(CP_E_DIVERGED, "'%s%s' is not finite: not saved", prefixes[a], cp_net_parameter_name(t->net, i));
    return cp_model_add(writer, t->net, i, prefixes[a], t->train.type, plain);
}

cp_status cp_trainer_save(const cp_trainer *trainer, const char *path) {
    if (!trainer || !path) return cp_fail(CP_E_ARG, "%s is NULL", trainer ? "path" : "trainer");
    cp_model_writer writer = {0};
    char *note = describe(trainer);
    void *plain = new_plain(trainer);
    cp_status status = note && plain ? CP_OK : CP_E_MEMORY;
    for (int i = 0; i < trainer->n_variables; i++)
        for (int a = 0; a < ARRAYS && !status; a++)
            if (array_of(&trainer->variables[i], a)) status = add_array(&writer, trainer, i, a, plain);
    if (!status) status = cp_model_write(&writer, trainer->net, note, path);
    cp_model_writer_free(&writer);
    cp_free(NULL, plain);
    cp_free(NULL, note);
    return status;
}

static cp_status take_arrays(const cp_trainer *t, const cp_safetensors *file) {
    void *plain = new_plain(t);
    cp_status status = plain ? CP_OK : CP_E_MEMORY;
    for (int i = 0; i < t->n_variables; i++)
        for (int a = 0; a < ARRAYS && !status; a++) {
            void *array = array_of(&t->variables[i], a);
            if (!array) continue;
            status = cp_model_take(file, t->net, i, prefixes[a], t->train.type, plain);
            if (!status) cp_variable_write(t, i, plain, array);
        }
    cp_free(NULL, plain);
    return status;
}

static cp_status read_trainer(cp_trainer **trainer, cp_ctx *ctx, const cp_safetensors *file) {
    cp_trainer state = {0};
    cp_net *net;
    const char *note = cp_safetensors_note(file, CP_TRAINER_NOTE);
    cp_status status = cp_model_read(&net, file);
    if (status) return status;
    if (!note) status = cp_fail(CP_E_FORMAT, "a model, but no checkpoint: its metadata has no '%s'", CP_TRAINER_NOTE);
    if (!status) status = read_state(note, &state, cp_output_columns(net));
    if (!status) status = cp_trainer_new(trainer, net, ctx, &state.train);
    cp_net_free(net);
    cp_free(NULL, state.class_weights);
    if (status) return status;
    (*trainer)->step = state.step;
    (*trainer)->rows = state.rows;
    (*trainer)->position = state.position;
    status = take_arrays(*trainer, file);
    if (!status) return CP_OK;
    cp_trainer_free(*trainer);
    *trainer = NULL;
    return status;
}

cp_status cp_trainer_load(cp_trainer **trainer, cp_ctx *ctx, const char *path) {
    if (!trainer) return cp_fail(CP_E_ARG, "trainer is NULL");
    *trainer = NULL;
    if (!path) return cp_fail(CP_E_ARG, "path is NULL");
    cp_safetensors file;
    cp_status status = cp_safetensors_load(&file, path);
    if (status) return status;
    status = read_trainer(trainer, ctx, &file);
    cp_safetensors_free(&file);
    return status ? cp_fail_within(status, "%s", path) : CP_OK;
}
