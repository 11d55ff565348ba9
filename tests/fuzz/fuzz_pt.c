/* Any bytes as a PyTorch checkpoint of either container, up to the tensors and the config of a model. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "limit.h"
#include "vocoder/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    tensor_set set;
    import_summary summary;
    vocode_error error = {0};
    limit_arm(size);
    vocode_status status = checkpoint_parse(bytes, size, "fuzz.pt", NULL, &set, &summary, NULL, &error);
    limit_disarm();
    if (status != VOCODE_OK) {
        if (set.count || set.own || !error.message[0]) abort(); /* a refusal leaves nothing and has a sentence */
        return 0;
    }
    if (!set.config || set.count != summary.tensors) abort();
    for (size_t i = 0; i < set.count; i++) {
        const float *values = set.tensors[i].data;
        for (size_t k = 0; k < set.tensors[i].count; k++)
            if (!isfinite(values[k])) abort();
    }
    tensor_set_free(&set);
    return 0;
}
