/* Training: initial weights, optimizers, the trainer, epochs, evaluation; models and checkpoints in files. */
#ifndef CP_TRAIN_H
#define CP_TRAIN_H

#include "data/data.h"
#include "graph/graph.h"

/* Streams of random numbers. Dropout layers have the small numbers. */
enum { CP_STREAM_INITIAL = 0x01000000 /* + the parameter's number */, CP_STREAM_ORDER = 0x02000000 };

/* --- trainer.c --- */

/* A parameter as it is trained: weights, gradient and moments lie alike, in panels where the plan wants that. */
typedef struct cp_variable {
    cp_panels panels;
    bool in_panels;
    bool trained;                     /* the loss depends on it */
    bool follows;                     /* the layer itself says what comes next, in `gradient` */
    int64_t count;                    /* numbers in each array, of the trainer's type */
    float decay;                      /* 0 for biases */
    void *weights, *gradient, *m, *v; /* NULL where there is no need of them */
    void *average;                    /* of the weights over the steps; or NULL */
    void *mean;                       /* of the gradients of several batches; or NULL */
} cp_variable;

/* What runs one step, and for which tensors it was planned. */
typedef struct cp_prepared_step {
    cp_tensor x, target; /* data NULL */
    cp_plan *plan;       /* NULL: none yet */
    cp_work *work;
    bool *in_panels; /* of each variable, as the plan wants it */
    void *logits;
} cp_prepared_step;

/* Where cp_trainer_fit stands. */
typedef struct cp_position {
    int64_t epochs, steps; /* done; steps: of the epoch that is under way */
    int64_t count, batch;  /* pictures and batch size that this epoch was begun with */
    int64_t seen, correct; /* in this epoch */
    double loss;           /* the sum over all that were seen */
    double best;           /* of the epochs done: the larger the better */
    int64_t stale;         /* epochs since the best one */
    int64_t waited;        /* the same, or since the rate was reduced */
    int64_t reductions;    /* of the rate */
} cp_position;

struct cp_trainer {
    cp_ctx *ctx;          /* as given: may be NULL */
    cp_ctx context;       /* a copy of it, or the default */
    cp_train train;       /* defaults filled in */
    float *class_weights; /* what train.class_weights points to */
    cp_net *net;          /* the model; its parameters are those of the last export */
    cp_net *training;     /* with loss and gradients; its outputs: loss, logits, gradients */
    int n_variables;
    cp_variable *variables;
    void *memory;               /* of all their arrays */
    int *gradients;             /* of each variable: the output that is its gradient, or -1 */
    cp_tensor *outputs;         /* of a run */
    double *sums;               /* of the gradient's squares, by piece */
    cp_prepared_step recent[2]; /* the last one used first */
    int64_t step;               /* batches done: train.accumulate of them are a step of the optimizer */
    int64_t rows;               /* of the batches whose gradients wait in `mean` */
    double update_seconds;
    cp_position position;
};

/* The columns of the net's first output, which must be a matrix; else 0. */
int64_t cp_output_columns(const cp_net *net);
/* The loss takes labels, not values. */
bool cp_loss_takes_labels(cp_loss loss);
/* The rows of the last batch whose largest output is at the label. */
int64_t cp_trainer_correct(const cp_trainer *trainer, const cp_tensor *labels);
/* Variable i's numbers, from one of its arrays to the order of the net's parameter and back. */
void cp_variable_read(const cp_trainer *trainer, int i, const void *array, void *plain);
void cp_variable_write(const cp_trainer *trainer, int i, const void *plain, void *array);

/* --- optimizer.c --- */

/* Numbers are cut into pieces whose size does not depend on the threads, so that sums do not either. */
int64_t cp_optimizer_pieces(int64_t count);
/* Updates the variables with their gradients, those of a batch of so many rows, or lets them wait for those of further
 * batches; unless they are not finite (CP_E_DIVERGED; nothing has changed then). */
cp_status cp_optimizer_step(cp_trainer *trainer, int64_t rows);

/* --- evaluate.c --- */

/* The pictures have the shape of the net's one input, their classes are columns of its first output. */
cp_status cp_check_data(const cp_net *net, const cp_data *data);
/* Row i of a dense matrix, and the place of its first largest number. */
cp_tensor cp_row(const cp_tensor *matrix, int64_t i);
int64_t cp_answer(const cp_tensor *row);

/* --- network.c: nets as JSON --- */

enum { CP_MAX_NAMES = 10000 }; /* of a net in a file: names are searched one by one */

/* *json: to be freed with cp_free(NULL, ..). */
cp_status cp_network_write(const cp_net *net, char **json);
/* Parameters have the shapes of the file's tensors, but no values yet. */
cp_status cp_network_read(cp_net **net, const char *json, const cp_safetensors *file);

/* --- model.c: nets in files --- */

#define CP_TRAINER_NOTE "trainer"
#define CP_PREFIX_M "optimizer.m."
#define CP_PREFIX_V "optimizer.v."
#define CP_PREFIX_MEAN "optimizer.mean."
/* The weights as they are trained, where the model itself has their average. */
#define CP_PREFIX_WEIGHTS "optimizer.weights."

/* The shape that a parameter has in a file. */
cp_shape cp_model_shape(cp_shape shape);

typedef struct cp_model_writer {
    cp_type store;      /* CP_F32: every type as it is; a half: for all that are CP_F32 */
    cp_stored *tensors; /* names and data are the writer's */
    int64_t n_tensors, capacity;
} cp_model_writer;
/* Adds values of a type in the order of the net's parameter i, as PREFIX + its name. */
cp_status cp_model_add(cp_model_writer *writer, const cp_net *net, int i, const char *prefix, cp_type type,
                       const void *values);
/* trainer: a note, or NULL. */
cp_status cp_model_write(cp_model_writer *writer, const cp_net *net, const char *trainer, const char *path);
void cp_model_writer_free(cp_model_writer *writer);

cp_status cp_model_read(cp_net **net, const cp_safetensors *file);
/* The file has a tensor of that name and shape. */
cp_status cp_model_check(const cp_safetensors *file, const char *name, cp_shape shape);
/* Reads the tensor PREFIX + name of parameter i into values, in the order of the net's parameter. */
cp_status cp_model_take(const cp_safetensors *file, const cp_net *net, int i, const char *prefix, cp_type type,
                        void *values);

#endif
