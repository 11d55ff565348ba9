/* density MODEL: fits a flow to points of a banana, whose density is known, writes it to MODEL, reads it back, and
 * tells what it gives the points beside the truth. Samples go to standard output, two numbers a line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <vocode/vocode.h>

enum { ROWS = 4000, SAMPLES = 500, PASSES = 40 };

/* Two standard normals (Box and Muller) from C's own generator. */
static void normals(double *a, double *b) {
    double u = (rand() + 1.0) / (RAND_MAX + 2.0), v = rand() / (RAND_MAX + 1.0);
    *a = sqrt(-2 * log(u)) * cos(8 * atan(1) * v);
    *b = sqrt(-2 * log(u)) * sin(8 * atan(1) * v);
}

/* Called after every pass over the points; nonzero would end the fit. */
static int watch(void *context, const vocode_flow_progress *now) {
    (void)context;
    if (now->epoch % 10 == 0)
        fprintf(stderr, "pass %zu of %zu: %.3f nats a point\n", now->epoch, now->epochs, now->valid_nll);
    return 0;
}

int main(int count, char **arguments) {
    static float x[ROWS][2], z[ROWS][2], samples[SAMPLES][2];
    static double log_density[ROWS];
    const char *path = count > 1 ? arguments[1] : "banana.safetensors";
    double truth = 0, mean = 0;
    for (size_t i = 0; i < ROWS; i++) { /* x0 = 2 a, x1 = a^2 + b / 2: its density is that of (a, b), as 2 / 2 = 1 */
        double a, b;
        normals(&a, &b);
        x[i][0] = (float)(2 * a);
        x[i][1] = (float)(a * a + b / 2);
        truth -= ((a * a + b * b) / 2 + log(8 * atan(1))) / ROWS;
    }
    vocode_error error = {0};
    vocode_flow *fitted = NULL, *model = NULL;
    const vocode_flow_options options = {.size = sizeof options, .epochs = PASSES, .seed = 1, .watch = watch};
    const char *spec = "maf:layers=4,hidden=32";
    vocode_status status = vocode_flow_fit(spec, x[0], ROWS, 2, NULL, 0, &options, &fitted, &error);
    if (status == VOCODE_OK) status = vocode_flow_save(fitted, path, &error);
    if (status == VOCODE_OK) status = vocode_flow_open(path, &model, &error);
    if (status == VOCODE_OK) status = vocode_flow_score(model, x[0], NULL, ROWS, 0, log_density, &error);
    if (status == VOCODE_OK) status = vocode_flow_encode(model, x[0], NULL, ROWS, 0, z[0], &error);
    if (status == VOCODE_OK) status = vocode_flow_sample(model, NULL, SAMPLES, 7, 0, samples[0], &error);
    for (size_t i = 0; status == VOCODE_OK && i < ROWS; i++) mean += log_density[i] / ROWS;
    if (status == VOCODE_OK) fprintf(stderr, "log density %.4f nats a point, in truth %.4f\n", mean, truth);
    if (status == VOCODE_OK) fprintf(stderr, "the first point becomes %.3f %.3f\n", z[0][0], z[0][1]);
    for (size_t i = 0; status == VOCODE_OK && i < SAMPLES; i++) printf("%.5f %.5f\n", samples[i][0], samples[i][1]);
    if (status != VOCODE_OK) fprintf(stderr, "%s: %s\n", vocode_status_text(status), error.message);
    vocode_flow_free(fitted);
    vocode_flow_free(model);
    return status != VOCODE_OK || fflush(stdout) != 0;
}
