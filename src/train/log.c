#include "train/log.h"

#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "io/bytes.h"

struct train_log {
    int fd;
    char *path;
};

const char *train_log_explanation(bool likelihood) {
    return likelihood
               ? "nll is the mean of -ln p over the samples, in nats; bits = nll / ln 2; lower is better. A negative "
                 "one "
                 "is normal: p is a density over samples from -1 to 1, and may be far above 1. Bits + 15 is what a "
                 "16-bit sample would take to store. What good looks like depends on the recordings, quiet ones lying "
                 "lower: on read speech published flows report log-likelihoods of 5.15 to 5.23 nats, an nll of about "
                 "-5.2, and SqueezeWave calls below -6.0 (without the constant ln(sigma sqrt(2 pi))) reasonable audio. "
                 "Early on the nll falls by tenths, later by hundredths, which are still heard."
               : "loss is what the model's objective gives, a mean over the samples; lower is better.";
}

/* The bytes of the log up to the first line that is cut off, is no object or is of a step after `step`. */
static size_t bytes_kept(const char *text, size_t size, uint64_t step) {
    size_t kept = 0;
    while (kept < size) {
        const char *end = memchr(text + kept, '\n', size - kept);
        json_t *line;
        if (!end) break;
        size_t length = (size_t)(end - text) - kept;
        if (json_parse(text + kept, length, NULL, "log", &line, NULL) != VOCODE_OK) break;
        const json_t *number = json_object_get(line, "step");
        bool later = number && (uint64_t)json_integer_value(number) > step;
        json_decref(line);
        if (later) break;
        kept += length + 1;
    }
    return kept;
}

static vocode_status cut(train_log *log, uint64_t step, vocode_error *error) {
    unsigned char *text;
    size_t size;
    TRY(bytes_read(log->path, SIZE_MAX / 2, &text, &size, error));
    size_t kept = step ? bytes_kept((const char *)text, size, step) : 0;
    free(text);
    if (kept < size && ftruncate(log->fd, (off_t)kept) != 0)
        return failed_errno(error, VOCODE_IO, "cannot write %s", log->path);
    return VOCODE_OK;
}

static vocode_status prepare(train_log *log, uint64_t step, vocode_error *error) {
    if (!log->path) return failed(error, VOCODE_MEMORY, "out of memory for a log");
    log->fd = open(log->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd < 0) return failed_errno(error, VOCODE_IO, "cannot write %s", log->path);
    if (flock(log->fd, LOCK_EX | LOCK_NB) != 0)
        return failed(error, VOCODE_IO, "%s: another process trains in this folder", log->path);
    return cut(log, step, error);
}

vocode_status train_log_open(const char *path, uint64_t step, train_log **out, vocode_error *error) {
    *out = NULL;
    train_log *log = calloc(1, sizeof *log);
    if (!log) return failed(error, VOCODE_MEMORY, "out of memory for a log");
    *log = (train_log){.fd = -1, .path = strdup(path)};
    vocode_status status = prepare(log, step, error);
    if (status == VOCODE_OK)
        *out = log;
    else
        train_log_close(log);
    return status;
}

void train_log_close(train_log *log) {
    if (!log) return;
    if (log->fd >= 0) close(log->fd);
    free(log->path);
    free(log);
}

/* Appends the object, which is taken over, as one line in one write. */
static vocode_status append(train_log *log, json_t *object, vocode_error *error) {
    if (!log) {
        json_decref(object);
        return VOCODE_OK;
    }
    char *text = json_print(object, 0), *line = NULL;
    int length = text ? asprintf(&line, "%s\n", text) : -1;
    json_decref(object);
    free(text);
    if (length < 0) return failed(error, VOCODE_MEMORY, "%s: out of memory for a line", log->path);
    off_t before = lseek(log->fd, 0, SEEK_END);
    ssize_t written = write(log->fd, line, (size_t)length);
    free(line);
    if (written == length) return VOCODE_OK;
    vocode_status status = failed_errno(error, VOCODE_IO, "cannot write %s", log->path);
    if (written > 0 && before >= 0 && ftruncate(log->fd, before) != 0) return status; /* a full disk: no half line */
    return status;
}

/* To ten digits: lines stay short. JSON has no infinities: they are null. */
static void put(json_t *object, const char *key, double value) {
    char digits[32];
    snprintf(digits, sizeof digits, "%.10g", value);
    json_object_set_new(object, key, isfinite(value) ? json_real(strtod(digits, NULL)) : json_null());
}

static void put_loss(json_t *object, const char *prefix, bool likelihood, double loss) {
    char key[32];
    snprintf(key, sizeof key, "%s%s", prefix, likelihood ? "nll" : "loss");
    put(object, key, loss);
    snprintf(key, sizeof key, "%sbits", prefix);
    if (likelihood) put(object, key, loss / M_LN2);
}

vocode_status train_log_start(train_log *log, const char *config, bool likelihood, vocode_error *error) {
    json_t *object = json_object(), *parsed = NULL;
    json_object_set_new(object, "about", json_string(train_log_explanation(likelihood)));
    if (json_parse(config, strlen(config), NULL, "config", &parsed, NULL) == VOCODE_OK)
        json_object_set_new(object, "config", parsed);
    return append(log, object, error);
}

vocode_status train_log_step(train_log *log, const train_progress *now, vocode_error *error) {
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer((json_int_t)now->step));
    put_loss(object, "", now->likelihood, now->loss);
    if (!isnan(now->spectral)) put(object, "spectral", now->spectral);
    put(object, "gradient_norm", now->norm);
    put(object, "learning_rate", now->rate);
    put(object, "audio_seconds_a_second", now->audio_rate);
    put(object, "seconds", now->seconds);
    json_object_set_new(object, "skipped", json_integer((json_int_t)now->skipped));
    return append(log, object, error);
}

vocode_status train_log_validation(train_log *log, const train_validation *now, vocode_error *error) {
    json_t *object = json_object();
    json_object_set_new(object, "step", json_integer((json_int_t)now->step));
    put_loss(object, "validation_", now->likelihood, now->loss);
    if (!isnan(now->spectral)) put(object, "validation_spectral", now->spectral);
    json_object_set_new(object, "best", json_boolean(now->best));
    return append(log, object, error);
}
