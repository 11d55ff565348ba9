#include "density/objective.h"

#include <string.h>

#include "flows/ode.h"
#include "flows/streamed.h"
#include "nn/batch_norm.h"

vocode_status likelihood_loss(const vectors_model *model, const flow_run *run, const real *x, objective_room room,
                              double weight, arena *tape, double *loss) {
    size_t rows = run->shape.batch, start = tape->used, count = rows * model->channels;
    for (size_t i = 0; !measuring(run->work) && i < rows; i++) {
        room.logdet[i] = 0;
        room.dlogdet[i] = -weight;
    }
    TRY(flow_forward(model->chain, run, x, room.z, room.logdet, tape));
    if (!measuring(run->work)) {
        double sum = -base_log_density(model->base, room.z, count);
        for (size_t i = 0; i < rows; i++) sum -= room.logdet[i];
        *loss = weight * sum;
        base_slope(model->base, room.z, count, -weight, room.dz);
    }
    tape->used = start;
    return flow_backward(model->chain, run, x, room.z, room.dz, room.dlogdet, room.dx, tape);
}

vocode_status matching_loss(const vectors_model *model, const flow_run *run, const real *x, objective_room room,
                            uint64_t seed, double weight, arena *tape, double *loss) {
    static const uint64_t golden = 0x9E3779B97F4A7C15u;
    const flow_parts *parts = sequence_parts(model->chain);
    size_t rows = run->shape.batch, last = parts->count - 1;
    for (size_t i = 0; !measuring(run->work) && i < rows; i++) room.logdet[i] = 0;
    real *turns[] = {room.dx, room.z};
    for (size_t k = 0; k < last; k++) { /* one or two, the last of them to z */
        real *to = turns[(last - k) % 2];
        TRY(flow_forward(parts->items[k], run, x, to, room.logdet, NULL));
        x = to;
    }
    if (!measuring(run->work))
        base_draw(model->base, seed + golden * (1 + run->draw), run->first, rows, model->channels, room.dz);
    ode_match(parts->items[last], run, room.dz, room.z, weight, tape, loss);
    return VOCODE_OK;
}

enum { FEW_ROWS = 16 };

size_t rows_with_statistics(const vectors_model *model, size_t rows, bool all) {
    size_t rest = rows % VECTORS_SHARD;
    bool normed = model->chain->traits & FLOW_BATCH_STATISTICS;
    return normed && rest < FEW_ROWS && (rows > rest || !all) ? rows - rest : rows;
}

void follow_statistics(vectors_model *model, const real *grads, size_t shards) {
    const param_set *set = &model->set;
    for (size_t i = 0; i < set->count; i++) {
        const param *p = set->items[i];
        if (p->kind != PARAM_BUFFER || !strstr(p->name, ".running_")) continue;
        for (size_t s = 0; s < shards; s++)
            for (size_t k = 0; k < p->count; k++)
                p->value[k] = (1 - (real)BATCH_NORM_MOMENTUM) * p->value[k] + grads[s * set->total + p->offset + k];
    }
}

vocode_status matching_allowed(const vectors_model *model, vocode_error *error) {
    const flow_parts *parts = sequence_parts(model->chain);
    unsigned first = parts->items[0]->traits;
    bool noisy = first & FLOW_DEQUANTIZES, learned = noisy && (first & FLOW_DATA_DEPENDENT_INIT);
    if (parts->count == 2 + (size_t)noisy && !learned && ode_is(parts->items[parts->count - 1])) return VOCODE_OK;
    return failed(error, VOCODE_UNSUPPORTED,
                  "flow \"%.200s\": expected one continuous flow (ode) to train by matching, found others",
                  model->spec);
}

double usual_rate(const vectors_model *model, bool matching) {
    static const double of_matching = 4e-3, of_likelihood = 2e-3, of_additive = 1e-3, of_autoregressive = 4e-3,
                        of_images = 4e-3;
    const flow_parts *parts = sequence_parts(model->chain);
    size_t keeping = 0, quick = 0;
    for (size_t k = 0; k < parts->count; k++) {
        keeping += (parts->items[k]->traits & FLOW_VOLUME_PRESERVING) != 0;
        quick += (parts->items[k]->traits & FLOW_SEQUENTIAL_INVERSE) != 0;
    }
    if (matching) return of_matching;
    if (model->image.height) return of_images;
    if (3 * quick >= parts->count) return of_autoregressive; /* MADE, each with its norm */
    return 2 * keeping > parts->count ? of_additive : of_likelihood;
}
