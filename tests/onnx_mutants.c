/* Thousands of damaged ONNX files, of models that together have every kind of operator: each is refused with a
 * sentence, or planned and run, at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "full.h"
#include "mutate.h"
#include "onnx_seeds.h"
#include "onnx_text.h"
#include "onnx_try.h"

#define SECONDS_FOR_ONE 120 /* more than enough under sanitizers: who needs them hangs */

static void seeds_load(void **state) {
    (void)state;
    for (int i = 0; i < ONNX_SEEDS; i++) {
        cp_net *net;
        bytes model = onnx_model(onnx_seeds[i]);
        if (cp_onnx_load_memory(&net, model.data, (int64_t)model.length, NULL))
            fail_msg("%s: %s", onnx_seeds[i], cp_error());
        cp_net_free(net);
        load_and_try(model.data, model.length);
        free(model.data);
    }
}

static void mutants(void **state) {
    (void)state;
    const int each = quick_or_full(100, 1500);
    for (int i = 0; i < ONNX_SEEDS; i++) {
        const bytes model = onnx_model(onnx_seeds[i]);
        uint8_t *mutant = malloc(model.length + 4 * MUTATION_GROWTH);
        for (int n = 0; n < each; n++) {
            uint32_t random = (uint32_t)(i * 1000003 + n);
            size_t length = model.length;
            memcpy(mutant, model.data, length);
            for (int k = 0; k <= n % 3; k++) length = mutate(&random, mutant, length);
            alarm(SECONDS_FOR_ONE);
            load_and_try(mutant, length);
        }
        alarm(0);
        free(mutant);
        free(model.data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(seeds_load), cmocka_unit_test(mutants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
