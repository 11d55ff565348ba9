#include "train/records.h"

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41 with its bits reversed: the least significant bit goes first */
#define MASK_ADDED 0xa282ead8u
#define NIBBLE 4
#define NIBBLE_VALUES 16

/* Four bits at a time: the table is small enough to be made for each call, and needs no state. */
uint32_t crc32c(const void *bytes, size_t size) {
    uint32_t table[NIBBLE_VALUES], crc = UINT32_MAX;
    const unsigned char *byte = bytes;
    for (uint32_t i = 0; i < NIBBLE_VALUES; i++) {
        table[i] = i;
        for (int bit = 0; bit < NIBBLE; bit++) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? POLYNOMIAL : 0);
    }
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        crc = (crc >> NIBBLE) ^ table[crc % NIBBLE_VALUES];
        crc = (crc >> NIBBLE) ^ table[crc % NIBBLE_VALUES];
    }
    return ~crc;
}

uint32_t crc32c_masked(const void *bytes, size_t size) {
    uint32_t crc = crc32c(bytes, size);
    return ((crc >> 15) | (crc << 17)) + MASK_ADDED;
}

static void put(unsigned char *to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) to[i] = (unsigned char)(value >> (8 * i));
}

static uint64_t get(const unsigned char *from, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void record_frame(const void *bytes, size_t size, unsigned char head[RECORD_HEAD], unsigned char tail[RECORD_TAIL]) {
    put(head, size, sizeof(uint64_t));
    put(head + sizeof(uint64_t), crc32c_masked(head, sizeof(uint64_t)), sizeof(uint32_t));
    put(tail, crc32c_masked(bytes, size), sizeof(uint32_t));
}

int record_next(const unsigned char *text, size_t size, size_t *place, const unsigned char **bytes, size_t *length) {
    size_t left = size - *place;
    if (*place > size || left < RECORD_HEAD + RECORD_TAIL) return 0;
    const unsigned char *head = text + *place;
    uint64_t claimed = get(head, sizeof(uint64_t));
    if (get(head + sizeof(uint64_t), sizeof(uint32_t)) != crc32c_masked(head, sizeof(uint64_t))) return 0;
    if (claimed > left - RECORD_HEAD - RECORD_TAIL) return 0;
    *bytes = head + RECORD_HEAD;
    *length = (size_t)claimed;
    if (get(*bytes + *length, sizeof(uint32_t)) != crc32c_masked(*bytes, *length)) return 0;
    *place += RECORD_HEAD + *length + RECORD_TAIL;
    return 1;
}
