/* Any bytes as a safetensors file. */
#include <stdint.h>
#include <stdlib.h>

#include "io/safetensors.h"
#include "limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    st_file *file;
    vocode_error error = {0};
    limit_arm(size);
    vocode_status status = st_parse(bytes, size, "fuzz.safetensors", &file, &error);
    limit_disarm();
    if (status != VOCODE_OK) {
        if (file || !error.message[0]) abort(); /* a refusal leaves nothing and has a sentence */
        return 0;
    }
    volatile double read = 0; /* every element is there */
    for (size_t i = 0; i < st_count(file); i++) {
        const st_tensor *tensor = st_at(file, i);
        const char *data = tensor->data;
        if (st_find(file, tensor->name) != tensor) abort();
        for (size_t k = 0; k < tensor->count; k++)
            read = dtype_load(tensor->type, data + k * dtype_size(tensor->type), 0);
    }
    (void)read;
    (void)st_metadata(file, "config");
    st_close(file);
    return 0;
}
