/* Learning rates over the steps. */
#include "train/train.h"

#include <math.h>

static double scheduled(const cp_schedule *schedule, double rate, int64_t step) {
    switch (schedule->kind) {
    case CP_CONSTANT:
    case CP_PLATEAU: /* what the epochs were like is in the trainer */
        break;
    case CP_STEPPED:
        if (schedule->every < 1) break;
        return rate * pow(schedule->factor != 0 ? schedule->factor : 0.1, (double)(step / schedule->every));
    case CP_COSINE: {
        const double last = rate * schedule->factor;
        if (step >= schedule->total) return last;
        return last + (rate - last) * (1 + cos(3.14159265358979323846 * (double)step / (double)schedule->total)) / 2;
    }
    }
    return rate;
}

double cp_schedule_rate(const cp_schedule *schedule, double rate, int64_t step) {
    if (!schedule) return rate;
    rate = scheduled(schedule, rate, step);
    if (step < schedule->warmup) rate *= (double)(step + 1) / (double)schedule->warmup;
    return rate;
}
