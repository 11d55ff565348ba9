/* VOCODE_CPU, each value in a process of its own, since the level is chosen once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernels/kernels.h"

/* Runs check with VOCODE_CPU set (NULL: unset); it gives true where all is well. */
static bool holds(const char *wanted, bool (*check)(const char *wanted)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (wanted)
            setenv("VOCODE_CPU", wanted, 1);
        else
            unsetenv("VOCODE_CPU");
        _exit(check(wanted) ? 0 : 1);
    }
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const kernel_table *highest(void) {
    const kernel_table *const *level = kernel_levels();
    while (level[1]) level++;
    return *level;
}

static bool serves(const char *name) {
    return strcmp(kernels()->level, name) == 0;
}

static bool is_highest(const char *wanted) {
    (void)wanted;
    return kernels() == highest() && !kernels_level_problem();
}

static bool is_wanted(const char *wanted) {
    return serves(wanted) && !kernels_level_problem();
}

static bool is_named_in_problem(const char *wanted) {
    const char *problem = kernels_level_problem();
    return problem && strstr(problem, wanted) && strstr(problem, kernels()->level);
}

static bool is_unknown(const char *wanted) {
    return kernels() == highest() && is_named_in_problem(wanted);
}

/* A level of another processor: one below it serves, or the level itself where this processor has it. */
static bool is_below(const char *wanted) {
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        if (strcmp((*level)->level, wanted) == 0) return is_wanted(wanted);
    return !serves(wanted) && is_named_in_problem(wanted);
}

static void environment_names_the_level(void **state) {
    (void)state;
    assert_true(holds(NULL, is_highest));
    assert_true(holds("", is_highest));
    assert_true(holds("ref", is_wanted));
    assert_true(holds("quantum", is_unknown));
    assert_true(holds("neon", is_below));
    assert_true(holds("avx2", is_below));
    assert_true(holds("avx512", is_below));
    assert_true(holds("avx512bf16", is_below));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(environment_names_the_level)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
