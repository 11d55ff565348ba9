#include "vocoder/cost.h"

#include <string.h>

static bool begins(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* Biases, norms and gains are no products of matrices. */
static bool is_weight(const param *p) {
    return p->kind == PARAM_TRAINED && p->rank >= 2 && !strstr(p->name, "weight_g");
}

double model_multiply_adds(const vocode_model *model) {
    double columns = (double)model->settings.sample_rate / (double)model->group;
    double frames = (double)model->settings.sample_rate / (double)model->hop, sum = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        const param *p = model->params.items[i];
        if (!is_weight(p)) continue;
        double rows = columns;
        if (begins(p->name, "upsample.")) rows = frames;
        if (model->type->evaluations && begins(p->name, "field.")) rows *= (double)model->type->evaluations(model);
        if (begins(p->name, "field.time.")) rows = 0; /* once a stream */
        if (strstr(p->name, "cond_layer")) rows = columns / (double)model->columns_per_cond;
        sum += rows * (double)p->count;
    }
    return sum;
}
