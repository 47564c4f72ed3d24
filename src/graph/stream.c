/* A causal convolution of a signal that arrives in chunks: what the next outputs need of the past is kept. */
#include <string.h>

#include "graph/graph.h"

struct cp_stream {
    cp_plan *plan; /* of a valid convolution over the past and one chunk */
    cp_work *work;
    float *seen, *result; /* [batch][past + chunk][channels], [batch][chunk][filters] */
    int64_t batch, past, chunk, channels, filters;
};

static cp_status check(const cp_conv *conv, const cp_tensor *w, const cp_tensor *b, int64_t batch, int64_t chunk) {
    cp_status status = w ? cp_check_tensor(w, CP_F32, "w") : cp_fail(CP_E_ARG, "w is missing");
    if (!status && b) status = cp_check_tensor(b, CP_F32, "b");
    if (status) return status;
    if (!conv || conv->pad != CP_PAD_CAUSAL) return cp_fail(CP_E_ARG, "a stream needs causal padding");
    if (conv->pad_values != CP_PAD_CONSTANT)
        return cp_fail(CP_E_UNSUPPORTED, "a stream begins with zeros: pad values cannot be of the input");
    if (w->shape.rank != 3)
        return cp_fail(CP_E_SHAPE, "a stream's weights are [kernel, channels, filters], these have %d dimensions",
                       w->shape.rank);
    if (conv->stride[0] > 1)
        return cp_fail(CP_E_UNSUPPORTED, "a stream has stride 1, not %lld", (long long)conv->stride[0]);
    if (batch < 1) return cp_fail(CP_E_ARG, "batch = %lld: must be at least 1", (long long)batch);
    if (chunk < 1) return cp_fail(CP_E_ARG, "chunk = %lld: must be at least 1", (long long)chunk);
    return CP_OK;
}

/* The plan of a chunk, and how much past it reads. */
static cp_status plan_chunk(cp_stream *s, cp_ctx *ctx, const cp_conv *conv, const cp_tensor *w, const cp_tensor *b) {
    int64_t channels, dilation = conv->dilation[0] ? conv->dilation[0] : 1;
    if (!cp_mul(w->shape.dim[1], cp_groups(conv), &channels) || !cp_mul(w->shape.dim[0] - 1, dilation, &s->past) ||
        s->past > INT64_MAX - s->chunk)
        return cp_fail(CP_E_SHAPE, "the past that the kernel sees overflows");
    s->channels = channels;
    s->filters = w->shape.dim[2];
    cp_conv valid = *conv;
    valid.pad = CP_PAD_VALID;
    const cp_shape x = {3, {s->batch, s->past + s->chunk, channels}};
    const cp_tensor view = cp_view(NULL, CP_F32, x);
    return cp_conv_plan(&s->plan, ctx, &valid, &view, w, b, NULL);
}

cp_status cp_stream_new(cp_stream **stream, cp_ctx *ctx, const cp_conv *conv, const cp_tensor *w, const cp_tensor *b,
                        int64_t batch, int64_t chunk) {
    if (!stream) return cp_fail(CP_E_ARG, "stream is NULL");
    *stream = NULL;
    cp_status status = check(conv, w, b, batch, chunk);
    if (status) return status;
    cp_stream *s = cp_zalloc(NULL, sizeof *s);
    if (!s) return CP_E_MEMORY;
    s->batch = batch;
    s->chunk = chunk;
    status = plan_chunk(s, ctx, conv, w, b);
    if (!status) status = cp_work_new(&s->work, s->plan);
    if (!status) { /* the plan has checked that these sizes can be counted */
        s->seen = cp_zalloc(NULL, batch * (s->past + chunk) * s->channels * (int64_t)sizeof(float));
        s->result = cp_alloc(NULL, batch * chunk * s->filters * (int64_t)sizeof(float));
        if (!s->seen || !s->result) status = CP_E_MEMORY;
    }
    if (status)
        cp_stream_free(s);
    else
        *stream = s;
    return status;
}

void cp_stream_free(cp_stream *stream) {
    if (!stream) return;
    cp_work_free(stream->work);
    cp_plan_free(stream->plan);
    cp_free(NULL, stream->seen);
    cp_free(NULL, stream->result);
    cp_free(NULL, stream);
}

void cp_stream_reset(cp_stream *stream) {
    memset(stream->seen, 0,
           (size_t)(stream->batch * (stream->past + stream->chunk) * stream->channels) * sizeof(float));
}

static cp_tensor rows(const cp_stream *s, float *data, int64_t from, int64_t all, int64_t count, int64_t channels) {
    cp_tensor view = cp_view(data + from * channels, CP_F32, (cp_shape){3, {s->batch, count, channels}});
    view.stride[0] = all * channels;
    return view;
}

cp_status cp_stream_run(cp_stream *s, const cp_tensor *x, const cp_tensor *y) {
    if (!s || !x || !y) return cp_fail(CP_E_ARG, "a stream, x and y are needed");
    cp_status status = cp_check_tensor(x, CP_F32, "x");
    if (!status) status = cp_check_tensor(y, CP_F32, "y");
    if (status) return status;
    const int64_t steps = x->shape.rank == 3 ? x->shape.dim[1] : -1, all = s->past + s->chunk;
    char text[CP_SHAPE_TEXT];
    if (steps < 0 || steps > s->chunk || !cp_shape_same(x->shape, (cp_shape){3, {s->batch, steps, s->channels}}))
        return cp_fail(CP_E_SHAPE, "x is %s, needs %lldxTx%lld with T up to %lld", cp_shape_text(x->shape, text),
                       (long long)s->batch, (long long)s->channels, (long long)s->chunk);
    if (!cp_shape_same(y->shape, (cp_shape){3, {s->batch, steps, s->filters}}))
        return cp_fail(CP_E_SHAPE, "y is %s, needs %lldx%lldx%lld", cp_shape_text(y->shape, text), (long long)s->batch,
                       (long long)steps, (long long)s->filters);
    const cp_tensor now = rows(s, s->seen, s->past, all, steps, s->channels);
    const cp_tensor in = rows(s, s->seen, 0, all, all, s->channels);
    const cp_tensor out = rows(s, s->result, 0, s->chunk, s->chunk, s->filters);
    const cp_tensor wanted = rows(s, s->result, 0, s->chunk, steps, s->filters);
    status = cp_tensor_copy(&now, x);
    if (!status) status = cp_plan_run(s->plan, s->work, &in, 1, &out, 1);
    if (!status) status = cp_tensor_copy(y, &wanted);
    for (int64_t n = 0; !status && n < s->batch; n++) /* the last `past` steps come first from now on */
        memmove(s->seen + n * all * s->channels, s->seen + (n * all + steps) * s->channels,
                (size_t)(s->past * s->channels) * sizeof(float));
    return status;
}
