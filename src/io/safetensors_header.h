/* Checking a safetensors header: what of it may be believed. */
#ifndef IO_SAFETENSORS_HEADER_H
#define IO_SAFETENSORS_HEADER_H

#include <stddef.h>

#include "core/fail.h"
#include "io/json.h"
#include "io/safetensors.h"

#define ST_METADATA_KEY "__metadata__"
#define ST_LENGTH_SIZE 8 /* bytes of the header's length before it */

/* The header's object and where the data begins, from a whole file of size bytes. Release *header with json_decref. */
vocode_status st_header_parse(const unsigned char *bytes, size_t size, const char *name, json_t **header,
                              size_t *data_offset, vocode_error *error);

/* Checks that the metadata is an object of strings. */
vocode_status st_header_metadata(const json_t *value, const char *name, vocode_error *error);

/* Reads the entry of the tensor called key; its bytes must lie in data [size] and be as many as shape and dtype say. */
vocode_status st_header_tensor(const char *key, const json_t *value, const char *data, size_t size, const char *name,
                               st_tensor *out, vocode_error *error);

#endif
