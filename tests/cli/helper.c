/* Inputs and comparisons for the tests of the program, written from the formats' definitions alone.
 *
 *   helper mel OUT.npy DESCR ORDER LAYOUT BANDS FRAMES   a mel of fixed values, all exact in float16
 *          DESCR <f2 <f4 <f8 >f2 >f4 >f8; ORDER C or F; LAYOUT mels, frames or batch ([1, BANDS, FRAMES])
 *   helper frames OUT BANDS FRAMES      the same numbers frame after frame, bare little-endian float32
 *   helper turn IN.npy OUT              a .npy of [BANDS, FRAMES] as such frames
 *   helper peak OUT COMMAND...          runs it; OUT gets its largest resident size in kB; exits as it does
 *   helper spoil FILE OFFSET VALUE      writes the float VALUE (nan, inf, a number) at a byte offset
 *   helper header OUT.npy DESCR SHAPE BYTES   a .npy with that header and so many zero bytes
 *   helper pick IN.npy INDEX OUT.npy    one item of a batch: [B, ...] -> [...]
 *   helper wav OUT.wav RATE CHANNELS SECONDS LEVEL   a voiced, gliding tone as 16-bit PCM
 *   helper samples FILE.wav             the number of samples a channel
 *   helper snr A.wav B.wav              10 log10(sum a^2 / sum (a - b)^2) over the common length
 *   helper nll Z.npy LOGDET SIGMA       -log N(z; 0, sigma) - logdet, in nats a number
 *   helper error A.f32 B.npy            max |a - b| / max |b|, A being bare little-endian floats
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what) {
    fprintf(stderr, "helper: %s\n", what);
    exit(1);
}

static FILE *open_file(const char *path, const char *mode) {
    FILE *file = fopen(path, mode);
    if (!file) die(path);
    return file;
}

static unsigned char *slurp(const char *path, size_t *size) {
    FILE *file = open_file(path, "rb");
    size_t room = 1 << 16;
    unsigned char *bytes = malloc(room);
    for (*size = 0; bytes;) {
        size_t got = fread(bytes + *size, 1, room - *size, file);
        *size += got;
        if (got == 0) break;
        if (*size == room) bytes = realloc(bytes, room *= 2);
    }
    fclose(file);
    if (!bytes) die("out of memory");
    return bytes;
}

static void write_header(FILE *file, const char *descr, int fortran, const char *shape) {
    char dict[256];
    int used = snprintf(dict, sizeof dict, "{'descr': %s, 'fortran_order': %s, 'shape': %s, }", descr,
                        fortran ? "True" : "False", shape);
    int total = (10 + used + 1 + 63) / 64 * 64;
    fwrite("\x93NUMPY\x01\x00", 1, 8, file);
    fputc((total - 10) & 255, file);
    fputc((total - 10) >> 8, file);
    fprintf(file, "%-*s\n", total - 10 - 1, dict);
}

/* Multiples of 1/64 between -11 and 2: what ln mels hold, and exact in float16 (a step of 1/128 below 16). */
static double mel_value(size_t band, size_t frame) {
    return (double)((band * 37 + frame * 101 + band * frame) % 832) / 64 - 11;
}

static uint64_t half_bits(double value) {
    int exponent;
    if (value == 0) return 0;
    double mantissa = frexp(fabs(value), &exponent); /* 0.5 <= mantissa < 1 */
    return (value < 0 ? 0x8000u : 0u) | (uint64_t)(exponent - 1 + 15) << 10 | ((uint64_t)(mantissa * 2048) & 1023);
}

static void put_number(FILE *file, const char *descr, double value) {
    int width = descr[2] - '0';
    uint64_t bits = 0;
    float single = (float)value;
    uint32_t single_bits;
    memcpy(&single_bits, &single, sizeof single_bits);
    if (width == 2) bits = half_bits(value);
    if (width == 4) bits = single_bits;
    if (width == 8) memcpy(&bits, &value, sizeof bits);
    for (int i = 0; i < width; i++) fputc((int)(bits >> (descr[0] == '<' ? 8 * i : 8 * (width - 1 - i)) & 255), file);
}

static void make_mel(char **arg) {
    const char *descr = arg[1];
    int fortran = arg[2][0] == 'F', frames_first = arg[3][0] == 'f';
    size_t bands = strtoul(arg[4], NULL, 10), frames = strtoul(arg[5], NULL, 10);
    size_t rows = frames_first ? frames : bands, columns = frames_first ? bands : frames;
    char quoted[16], shape[64];
    snprintf(quoted, sizeof quoted, "'%s'", descr);
    snprintf(shape, sizeof shape, arg[3][0] == 'b' ? "(1, %zu, %zu)" : "(%zu, %zu)", rows, columns);
    FILE *file = open_file(arg[0], "wb");
    write_header(file, quoted, fortran, shape);
    for (size_t i = 0; i < rows * columns; i++) {
        size_t row = fortran ? i % rows : i / columns, column = fortran ? i / rows : i % columns;
        put_number(file, descr, frames_first ? mel_value(column, row) : mel_value(row, column));
    }
    fclose(file);
}

static void make_frames(char **arg) {
    size_t bands = strtoul(arg[1], NULL, 10), frames = strtoul(arg[2], NULL, 10);
    FILE *file = open_file(arg[0], "wb");
    for (size_t t = 0; t < frames; t++)
        for (size_t m = 0; m < bands; m++) put_number(file, "<f4", mel_value(m, t));
    fclose(file);
}

static void print_peak(char **arg) {
    struct rusage used;
    int status;
    pid_t child = fork();
    if (child < 0) die("cannot fork");
    if (child == 0) {
        execvp(arg[1], arg + 1);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child || getrusage(RUSAGE_CHILDREN, &used) != 0) die("cannot wait");
    FILE *file = open_file(arg[0], "w");
    fprintf(file, "%ld\n", used.ru_maxrss);
    fclose(file);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) die("the command failed");
}

static void spoil(char **arg) {
    FILE *file = open_file(arg[0], "r+b");
    fseek(file, strtol(arg[1], NULL, 10), SEEK_SET);
    put_number(file, "<f4", strtod(arg[2], NULL));
    fclose(file);
}

static void make_header(char **arg) {
    FILE *file = open_file(arg[0], "wb");
    write_header(file, arg[1], 0, arg[2]);
    for (long i = strtol(arg[3], NULL, 10); i > 0; i--) fputc(0, file);
    fclose(file);
}

/* The data of a little-endian float32 .npy, whose shape begins with *first. */
static const unsigned char *npy_data(const unsigned char *bytes, size_t size, size_t *first, const char **rest) {
    if (size < 10 || memcmp(bytes, "\x93NUMPY\x01", 7) != 0) die("not a .npy of version 1");
    const char *shape = strstr((const char *)bytes + 10, "'shape': (");
    if (!shape || !strstr((const char *)bytes + 10, "'<f4'")) die("not a float32 .npy");
    *first = strtoul(shape + strlen("'shape': ("), (char **)rest, 10);
    return bytes + 10 + bytes[8] + 256 * bytes[9];
}

static void turn(char **arg) {
    size_t size, bands;
    const char *rest;
    unsigned char *bytes = slurp(arg[0], &size);
    const unsigned char *data = npy_data(bytes, size, &bands, &rest);
    size_t frames = (size - (size_t)(data - bytes)) / (4 * bands);
    FILE *file = open_file(arg[1], "wb");
    for (size_t t = 0; t < frames; t++)
        for (size_t m = 0; m < bands; m++) fwrite(data + 4 * (m * frames + t), 1, 4, file);
    fclose(file);
    free(bytes);
}

static void pick(char **arg) {
    size_t size, batch, index = strtoul(arg[1], NULL, 10);
    const char *rest;
    unsigned char *bytes = slurp(arg[0], &size);
    const unsigned char *data = npy_data(bytes, size, &batch, &rest);
    size_t item = (size - (size_t)(data - bytes)) / batch;
    char shape[64] = "(";
    rest += 2; /* the comma and the space */
    strncat(shape, rest, strcspn(rest, ")"));
    strcat(shape, strchr(shape, ',') ? ")" : ",)");
    FILE *file = open_file(arg[2], "wb");
    write_header(file, "'<f4'", 0, shape);
    fwrite(data + index * item, 1, item, file);
    fclose(file);
    free(bytes);
}

static void put_bytes(FILE *file, uint32_t value, int count) {
    for (int i = 0; i < count; i++) fputc((int)(value >> (8 * i) & 255), file);
}

static void make_wav(char **arg) {
    uint32_t rate = (uint32_t)strtoul(arg[1], NULL, 10), channels = (uint32_t)strtoul(arg[2], NULL, 10);
    double seconds = strtod(arg[3], NULL), level = strtod(arg[4], NULL), phase = 0;
    uint32_t count = (uint32_t)(seconds * rate), size = count * channels * 2;
    FILE *file = open_file(arg[0], "wb");
    fwrite("RIFF", 1, 4, file);
    put_bytes(file, 36 + size, 4);
    fwrite("WAVEfmt ", 1, 8, file);
    put_bytes(file, 16, 4);
    put_bytes(file, 1, 2);
    put_bytes(file, channels, 2);
    put_bytes(file, rate, 4);
    put_bytes(file, rate * channels * 2, 4);
    put_bytes(file, channels * 2, 2);
    put_bytes(file, 16, 2);
    fwrite("data", 1, 4, file);
    put_bytes(file, size, 4);
    uint32_t noise = 1;
    for (uint32_t i = 0; i < count; i++) {
        double t = i / (double)rate, sum = 0;
        phase += 2 * M_PI * (140 + 40 * sin(2 * M_PI * 1.3 * t)) / rate;
        for (int k = 1; k <= 30; k++) sum += sin(k * phase) / k;
        noise = noise * 1664525u + 1013904223u;
        sum = 0.3 * sum * (0.55 + 0.45 * sin(2 * M_PI * 3 * t)) + 2e-3 * (noise / 4294967296.0 - 0.5);
        for (uint32_t c = 0; c < channels; c++) put_bytes(file, (uint32_t)(int32_t)lrint(sum * level * 32767), 2);
    }
    fclose(file);
}

typedef struct sound {
    size_t count; /* of all channels */
    unsigned channels;
    double *samples;
} sound;

static uint32_t get_bytes(const unsigned char *from, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value |= (uint32_t)from[i] << (8 * i);
    return value;
}

static double sample_at(const unsigned char *from, unsigned format, unsigned bits) {
    uint32_t word = get_bytes(from, (int)bits / 8);
    float single;
    if (format == 3) {
        memcpy(&single, &word, sizeof single);
        return (double)single;
    }
    return (double)((int32_t)(word << (32 - bits)) >> (32 - bits)) / (bits == 16 ? 32768 : 8388608);
}

static sound read_wav(const char *path) {
    size_t size;
    unsigned char *bytes = slurp(path, &size);
    unsigned format = 0, bits = 0;
    sound out = {0};
    if (size < 12 || memcmp(bytes, "RIFF", 4) != 0 || memcmp(bytes + 8, "WAVE", 4) != 0) die("not a WAV file");
    for (size_t at = 12; at + 8 <= size;) {
        size_t length = get_bytes(bytes + at + 4, 4), room = size - at - 8;
        if (memcmp(bytes + at, "fmt ", 4) == 0) {
            format = get_bytes(bytes + at + 8, 2);
            out.channels = get_bytes(bytes + at + 10, 2);
            bits = get_bytes(bytes + at + 22, 2);
            if (format == 0xfffe) format = get_bytes(bytes + at + 32, 2);
        }
        if (memcmp(bytes + at, "data", 4) == 0) {
            if (!bits) die("samples before their format");
            out.count = (length < room ? length : room) / (bits / 8); /* a pipe's header announces no length */
            out.samples = malloc((out.count + 1) * sizeof *out.samples);
            for (size_t i = 0; i < out.count; i++)
                out.samples[i] = sample_at(bytes + at + 8 + i * (bits / 8), format, bits);
            break;
        }
        at += 8 + length + length % 2;
    }
    free(bytes);
    if (!out.samples) die("no samples");
    return out;
}

static void print_samples(char **arg) {
    sound a = read_wav(arg[0]);
    printf("%zu\n", a.count / a.channels);
    free(a.samples);
}

static void print_snr(char **arg) {
    sound a = read_wav(arg[0]), b = read_wav(arg[1]);
    size_t count = a.count < b.count ? a.count : b.count;
    double signal = 0, noise = 1e-30;
    for (size_t i = 0; i < count; i++) {
        signal += a.samples[i] * a.samples[i];
        noise += (a.samples[i] - b.samples[i]) * (a.samples[i] - b.samples[i]);
    }
    printf("%.2f\n", 10 * log10(signal / noise));
    free(a.samples);
    free(b.samples);
}

static void print_nll(char **arg) {
    size_t size, first, count;
    const char *rest;
    unsigned char *bytes = slurp(arg[0], &size);
    const unsigned char *data = npy_data(bytes, size, &first, &rest);
    double logdet = strtod(arg[1], NULL), sigma = strtod(arg[2], NULL), sum = 0;
    count = (size - (size_t)(data - bytes)) / 4;
    for (size_t i = 0; i < count; i++) {
        double z = sample_at(data + 4 * i, 3, 32) / sigma;
        sum += z * z / 2 + log(sigma) + log(2 * M_PI) / 2;
    }
    printf("%.9f\n", (sum - logdet) / (double)count);
    free(bytes);
}

static void print_error(char **arg) {
    size_t a_size, b_size, first;
    const char *rest;
    unsigned char *a = slurp(arg[0], &a_size), *b = slurp(arg[1], &b_size);
    const unsigned char *data = npy_data(b, b_size, &first, &rest);
    if (a_size != b_size - (size_t)(data - b)) die("different lengths");
    double largest = 0, scale = 0;
    for (size_t i = 0; i < a_size; i += 4) {
        double x = sample_at(a + i, 3, 32), y = sample_at(data + i, 3, 32);
        largest = fmax(largest, isnan(x) ? INFINITY : fabs(x - y));
        scale = fmax(scale, fabs(y));
    }
    printf("%.3e\n", largest / scale);
    free(a);
    free(b);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **);
    } tasks[] = {
        {"mel", 6, make_mel},  {"spoil", 3, spoil},       {"header", 4, make_header}, {"frames", 3, make_frames},
        {"turn", 2, turn},     {"pick", 3, pick},         {"wav", 5, make_wav},       {"samples", 1, print_samples},
        {"snr", 2, print_snr}, {"error", 2, print_error}, {"nll", 3, print_nll}};
    if (argc > 3 && strcmp(argv[1], "peak") == 0) {
        print_peak(argv + 2);
        return 0;
    }
    for (size_t i = 0; i < sizeof tasks / sizeof *tasks; i++)
        if (argc >= 2 && strcmp(argv[1], tasks[i].name) == 0 && argc - 2 == tasks[i].arguments) {
            tasks[i].run(argv + 2);
            return 0;
        }
    die("wrong usage");
}
