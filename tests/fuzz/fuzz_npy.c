/* Any bytes as a .npy file. */
#include <stdint.h>
#include <stdlib.h>

#include "io/npy.h"
#include "limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    npy_array array;
    vocode_error error = {0};
    limit_arm(size);
    vocode_status status = npy_parse(bytes, size, "fuzz.npy", &array, &error);
    limit_disarm();
    if (status != VOCODE_OK) {
        if (array.data || !error.message[0]) abort(); /* a refusal leaves nothing and has a sentence */
        return 0;
    }
    size_t product = 1;
    for (int i = 0; i < array.rank; i++) product *= array.shape[i];
    if (product != array.count) abort();
    volatile float read = 0; /* every element is there */
    for (size_t i = 0; i < array.count; i++) read = array.data[i];
    (void)read;
    npy_free(&array);
    return 0;
}
