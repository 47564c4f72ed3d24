/* From pictures to a model and back: builds the article's network, trains it, saves it, loads it, reads digits.
 *
 *   03_mnist                                                     a short lesson on digits that the library draws
 *   03_mnist TRAIN-IMAGES TRAIN-LABELS TEST-IMAGES TEST-LABELS   five epochs on IDX files such as those of MNIST
 */
#include <convpool.h>
#include <stdio.h>

static const char *const model = "digits.safetensors";

static cp_status load_data(int argc, char **argv, cp_data **training, cp_data **test) {
    *training = *test = NULL;
    if (argc == 5) {
        const cp_status status = cp_data_idx(training, argv[1], argv[2], NULL);
        return status ? status : cp_data_idx(test, argv[3], argv[4], NULL);
    }
    const cp_status status = cp_data_digits(training, 2000, 1);
    return status ? status : cp_data_digits(test, 500, 2);
}

/* A builder that fails returns 0, which the others pass on; the net keeps the first error. */
static cp_status build(cp_net **net) {
    cp_status status = cp_net_new(net);
    if (status) return status;
    cp_node t = cp_net_input(*net, "image", CP_F32, cp_shape_nhwc(0, 28, 28, 1));
    t = cp_net_conv(*net, t, 32, &(cp_conv){.kernel = {5, 5}, .pad = CP_PAD_SAME, .activation = CP_RELU});
    t = cp_net_pool(*net, t, &(cp_pool){.kind = CP_MAX, .kernel = {2, 2}});
    t = cp_net_dense(*net, cp_net_flatten(*net, t), 1024, CP_RELU);
    cp_net_output(*net, cp_net_dense(*net, t, 10, CP_LINEAR), "logits");
    status = cp_net_error(*net, NULL);
    return status ? status : cp_net_initialize(*net, CP_GLOROT, 1);
}

static bool print_epoch(void *user, const cp_progress *now) {
    (void)user;
    if (now->epoch_end)
        printf("epoch %d of %d: loss %.3f, accuracy %.1f %%\n", now->epoch, now->epochs, now->loss,
               100 * now->accuracy);
    return true; /* go on */
}

static cp_status train(cp_net *net, cp_ctx *ctx, const cp_data *training, int epochs) {
    cp_trainer *trainer;
    cp_status status = cp_trainer_new(&trainer, net, ctx, &(cp_train){.optimizer = CP_ADAM, .rate = 1e-3f, .seed = 1});
    const cp_fit fit = {.epochs = epochs, .batch = 100, .progress = print_epoch};
    if (!status) status = cp_trainer_fit(trainer, training, &fit);
    if (!status) status = cp_trainer_export(trainer, net);
    cp_trainer_free(trainer);
    return status;
}

static cp_status measure(const cp_net *net, cp_ctx *ctx, const cp_data *test) {
    cp_score score;
    const cp_status status = cp_net_evaluate(net, ctx, test, &score, NULL);
    if (!status)
        printf("%lld of %lld pictures that it has not seen are read right\n", (long long)score.correct,
               (long long)score.count);
    return status;
}

/* Reads one picture: a plan for a batch of one, its memory, a run; the largest output is the answer. */
static cp_status read_picture(const cp_net *net, cp_ctx *ctx, const cp_data *test, int64_t picture) {
    float image[28 * 28] = {0}, logits[10] = {0};
    int32_t label;
    const cp_tensor x = cp_nhwc(image, 1, 28, 28, 1), y = cp_mat(logits, 1, 10);
    cp_plan *plan;
    cp_work *work = NULL;
    cp_status status = cp_net_plan(&plan, ctx, net, NULL);
    if (!status) status = cp_work_new(&work, plan);
    if (!status) {
        cp_data_batch(test, NULL, picture, 1, image, &label);
        status = cp_plan_run(plan, work, &x, 1, &y, 1);
    }
    cp_work_free(work);
    cp_plan_free(plan);
    if (status) return status;
    int answer = 0;
    for (int digit = 1; digit < 10; digit++)
        if (logits[digit] > logits[answer]) answer = digit;
    printf("picture %lld shows a %d, read as %d\n", (long long)picture, label, answer);
    return CP_OK;
}

int main(int argc, char **argv) {
    cp_ctx *ctx = NULL;
    cp_data *training = NULL, *test = NULL;
    cp_net *net = NULL, *loaded = NULL;
    cp_status status = cp_ctx_new(&ctx, &(cp_options){.threads = 2});
    if (!status) status = load_data(argc, argv, &training, &test);
    if (!status) status = build(&net);
    if (!status) status = train(net, ctx, training, argc == 5 ? 5 : 2);
    if (!status) status = cp_net_save(net, model);
    if (!status) status = cp_net_load(&loaded, model);
    if (!status) status = measure(loaded, ctx, test);
    for (int64_t picture = 0; !status && picture < 5; picture++) status = read_picture(loaded, ctx, test, picture);
    if (status) fprintf(stderr, "%s\n", cp_error());

    cp_net_free(loaded);
    cp_net_free(net);
    cp_data_free(test);
    cp_data_free(training);
    cp_ctx_free(ctx);
    return status ? 1 : 0;
}
