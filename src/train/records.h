/* TFRecord framing: a record is its length, a checksum of that, its bytes, and a checksum of those. */
#ifndef TRAIN_RECORDS_H
#define TRAIN_RECORDS_H

#include <stddef.h>
#include <stdint.h>

#define RECORD_HEAD ((size_t)12) /* bytes: uint64 length, uint32 checksum of it; little-endian */
#define RECORD_TAIL ((size_t)4)  /* uint32 checksum of the bytes */

/* CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes [size]. */
uint32_t crc32c(const void *bytes, size_t size);

/* The checksum as records hold it: rotated and shifted, so that a record inside a record does not check itself. */
uint32_t crc32c_masked(const void *bytes, size_t size);

/* Fills what stands before and after the bytes [size] of a record. */
void record_frame(const void *bytes, size_t size, unsigned char head[RECORD_HEAD], unsigned char tail[RECORD_TAIL]);

/* The next whole record of text [size], which begins at *place: its bytes and their size; *place goes behind it.
 * Returns 0 at the end, and where what is there is cut off or does not check. */
int record_next(const unsigned char *text, size_t size, size_t *place, const unsigned char **bytes, size_t *length);

#endif
