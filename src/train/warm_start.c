#include "train/warm_start.h"

#include <stdlib.h>

#include "io/safetensors.h"

vocode_status warm_start(vocode_model *model, const char *path, const warning_sink *warnings, vocode_error *error) {
    st_file *file;
    TRY(st_open(path, &file, error));
    size_t count = st_count(file);
    st_tensor *tensors = calloc(count + 1, sizeof *tensors);
    vocode_status status = VOCODE_OK;
    if (!tensors) {
        status = failed(error, VOCODE_MEMORY, "%s: cannot allocate a table of %zu tensors", path, count);
    } else {
        for (size_t i = 0; i < count; i++) tensors[i] = *st_at(file, i);
        status = model_copy_weights(model, tensors, count, path, warnings, error);
    }
    free(tensors);
    st_close(file);
    return status == VOCODE_OK ? model_prepare(model, error) : status;
}
