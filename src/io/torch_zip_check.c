/* The ends of a zip archive, before libzip reads it. libzip looks for the end record anywhere in the tail, tries every
 * one it finds, and takes a directory that goes on after its last entry for one of more than 65535 entries, for which
 * it makes room at once. Here a directory must end where it says, so that a small file costs little memory and time.
 * Format: APPNOTE.TXT, 4.3.12 to 4.3.16. */
#include <string.h>

#include "io/torch_container.h"

#define END_SIZE ((size_t)22)
#define COMMENT_MOST ((size_t)65535)
#define LOCATOR_SIZE ((size_t)20)
#define END64_SIZE ((size_t)56)
#define ENTRY_SIZE ((size_t)46)
#define ENDS_MOST 16 /* end records in the tail: weights look like one by chance at most once */

typedef struct directory {
    uint64_t count, size, offset;
} directory;

static uint64_t number(const unsigned char *bytes, size_t width) {
    uint64_t value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

/* What the end record at byte end says; where a zip64 locator stands before it, what that record says. 0 for a record
 * that cannot be one. */
static int read_end(const unsigned char *bytes, size_t end, directory *out) {
    const unsigned char *record = bytes + end, *locator = record - LOCATOR_SIZE;
    if (end < LOCATOR_SIZE || memcmp(locator, "PK\x06\x07", 4) != 0) {
        *out = (directory){number(record + 10, 2), number(record + 12, 4), number(record + 16, 4)};
    } else {
        uint64_t at = number(locator + 8, 8);
        if (end < END64_SIZE || at > end - END64_SIZE || memcmp(bytes + at, "PK\x06\x06", 4) != 0) return 0;
        *out = (directory){number(bytes + at + 32, 8), number(bytes + at + 40, 8), number(bytes + at + 48, 8)};
    }
    return out->size <= end && out->offset <= end - out->size;
}

/* Whether the directory's entries fill it; one that libzip would not get through counts as well. */
static int is_filled(const unsigned char *bytes, const directory *d) {
    const unsigned char *entry = bytes + d->offset;
    uint64_t left = d->size;
    for (uint64_t i = 0; i < d->count; i++) {
        if (left < ENTRY_SIZE || memcmp(entry, "PK\x01\x02", 4) != 0) return d->count <= d->size / ENTRY_SIZE;
        uint64_t size = ENTRY_SIZE + number(entry + 28, 2) + number(entry + 30, 2) + number(entry + 32, 2);
        if (size > left) return 1;
        entry += size;
        left -= size;
    }
    return left == 0;
}

vocode_status torch_zip_check(const unsigned char *bytes, size_t size, vocode_error *error) {
    size_t tail = END_SIZE + COMMENT_MOST, found = 0;
    for (size_t at = size > tail ? size - tail : 0; at + END_SIZE <= size; at++) {
        directory d;
        if (bytes[at] != 'P' || memcmp(bytes + at, "PK\x05\x06", 4) != 0) continue;
        if (++found > ENDS_MOST || (read_end(bytes, at, &d) && !is_filled(bytes, &d)))
            return failed(error, VOCODE_FORMAT, "the zip archive is damaged: its directory does not end where it says");
    }
    if (found == 0) return failed(error, VOCODE_FORMAT, "the zip archive is truncated: it has no directory");
    return VOCODE_OK;
}
