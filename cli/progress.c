/* How training is going: a line redrawn on a terminal, a permanent one for each epoch, a log in JSON; and Ctrl-C. */
#include "cli.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t caught;

static void handle_signal(int number) {
    if (caught) _exit(128 + number);
    caught = number;
}

void catch_signals(void) {
    struct sigaction action = {.sa_handler = handle_signal, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int caught_signal(void) {
    return caught;
}

struct progress {
    progress_options options;
    bool live;    /* there is a terminal to redraw a line on */
    double drawn; /* when it was */
};

progress *progress_new(const progress_options *options) {
    progress *state = allocate(1, sizeof *state);
    state->options = *options;
    state->live = !options->quiet && is_terminal(stderr);
    return state;
}

void progress_free(progress *state) {
    free(state);
}

/* What is left of this epoch and of those behind it, at the pace so far. */
static double seconds_left(const cp_progress *now) {
    const double steps = (double)(now->steps - now->step) + (double)(now->epochs - now->epoch) * (double)now->steps;
    return now->step ? now->seconds / (double)now->step * steps : 0;
}

static void draw(const cp_progress *now) {
    char rate[GROUPED_TEXT], text[256];
    const long left = lround(seconds_left(now));
    const int columns = terminal_columns(stderr);
    snprintf(text, sizeof text, "  loss %.4f  accuracy %.2f%%  %s images/s  %ld:%02ld left", now->loss,
             100 * now->accuracy, grouped(llround(now->images_per_second), rate), left / 60, left % 60);
    fprintf(stderr, "\r\x1b[Kepoch %d/%d [", now->epoch, now->epochs);
    const int room = columns - (int)strlen(text) - 20;
    show_bar(stderr, (double)now->step / (double)now->steps, room < 5 ? 5 : room > 30 ? 30 : room);
    fprintf(stderr, "]%.*s", columns > 40 ? columns - 25 : 15, text);
    fflush(stderr);
}

static void print_epoch(const cp_progress *now) {
    char rate[GROUPED_TEXT];
    printf("epoch %d/%d  loss %.4f  accuracy %.2f%%", now->epoch, now->epochs, now->loss, 100 * now->accuracy);
    if (isfinite(now->val_accuracy))
        printf("  validation loss %.4f  accuracy %.2f%%", now->val_loss, 100 * now->val_accuracy);
    printf("  %.1f s  %s images/s\n", now->seconds, grouped(llround(now->images_per_second), rate));
    if (now->last && now->epoch < now->epochs) printf("ended early: the last epochs were no better\n");
    fflush(stdout);
}

static void log_epoch(FILE *log, const cp_progress *now) {
    json_t *line = json_object();
    json_object_set_new(line, "epoch", json_integer(now->epoch));
    json_object_set_new(line, "loss", json_number(now->loss));
    json_object_set_new(line, "accuracy", json_number(now->accuracy));
    json_object_set_new(line, "val_loss", json_number(now->val_loss));
    json_object_set_new(line, "val_accuracy", json_number(now->val_accuracy));
    json_object_set_new(line, "seconds", json_number(now->seconds));
    json_object_set_new(line, "images_per_second", json_number(now->images_per_second));
    print_json(line, log);
    fflush(log);
}

bool progress_step(void *user, const cp_progress *now) {
    progress *state = user;
    if (state->live && !now->epoch_end && seconds_now() - state->drawn >= 0.1) {
        draw(now);
        state->drawn = seconds_now();
    }
    if (now->epoch_end) {
        if (state->live) fputs("\r\x1b[K", stderr);
        if (!state->options.quiet) print_epoch(now);
        if (state->options.log) log_epoch(state->options.log, now);
        if (now->best && state->options.at_best) state->options.at_best(state->options.user);
    }
    return !caught;
}
