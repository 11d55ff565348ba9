#include "cli/page.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "cli/interrupt.h"
#include "dsp/spectrogram.h"
#include "io/atomic.h"
#include "io/png.h"
#include "io/wav.h"

#define PICTURE_WIDTH ((size_t)560)
#define PICTURE_HEIGHT ((size_t)192)

static const char style[] =
    ":root{color-scheme:light dark;--back:#fdfdfc;--text:#1d1d1f;--soft:#5c5c66;--line:#d9d9de;--row:#f3f3f5}"
    "@media(prefers-color-scheme:dark){:root{--back:#17171a;--text:#ececf0;--soft:#a3a3ad;--line:#3a3a42;--row:#202025}"
    "}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--back);color:var(--text);"
    "font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}"
    "h3{font-size:1rem;margin:0;overflow-wrap:anywhere}p{margin:.5rem 0;max-width:65ch}"
    ".soft{color:var(--soft)}.path{overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}"
    "td.words{text-align:left;white-space:normal}th.words{text-align:left}.figure{white-space:nowrap}"
    "tbody tr:nth-child(even){background:var(--row)}"
    "tr.mean td,tr.mean th{font-weight:600;border-bottom:2px solid var(--text)}"
    "article{border-top:1px solid var(--line);padding:1rem 0}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem;margin-top:.75rem}"
    "figure{margin:0;min-width:0}figcaption{font-size:.9rem;color:var(--soft);margin-bottom:.25rem}"
    "img{display:block;width:100%;height:auto;border-radius:4px}audio{display:block;width:100%;margin-top:.5rem}";

void page_begin(const char *title, const char *more_style, FILE *to) {
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
          to);
    page_escape(title, to);
    fprintf(to, "</title>\n<style>%s%s</style>\n</head>\n<body>\n", style, more_style ? more_style : "");
}

void page_end(FILE *to) {
    fputs("</body>\n</html>\n", to);
}

/* Writes text with what HTML gives a meaning to replaced. */
void page_escape(const char *text, FILE *to) {
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        case '\'': fputs("&#39;", to); break;
        default: fputc(*text, to);
        }
    }
}

void page_whole(uint64_t value, FILE *to) {
    char text[32];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    for (int i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0) fputc(',', to);
        fputc(text[i], to);
    }
}

static vocode_status write_base64(const void *bytes, size_t size, FILE *to, vocode_error *error) {
    char *text = base64_text(bytes, size);
    if (!text) return failed(error, VOCODE_MEMORY, "no memory for %zu bytes of the report", size);
    fputs(text, to);
    free(text);
    return VOCODE_OK;
}

static vocode_status write_picture(const float *samples, size_t n, FILE *to, vocode_error *error) {
    unsigned char *png;
    size_t size;
    TRY(spectrogram_png(samples, n, PICTURE_WIDTH, PICTURE_HEIGHT, &png, &size, error));
    vocode_status status = write_base64(png, size, to, error);
    free(png);
    return status;
}

static vocode_status write_sound(const float *samples, size_t n, unsigned sample_rate, FILE *to, vocode_error *error) {
    size_t size;
    unsigned char *wav = wav_pcm16(samples, n, sample_rate, &size);
    if (!wav) return failed(error, VOCODE_MEMORY, "no memory for %zu samples of the report", n);
    vocode_status status = write_base64(wav, size, to, error);
    free(wav);
    return status;
}

vocode_status page_sound(const char *title, const char *name, const float *samples, size_t n, unsigned sample_rate,
                         FILE *to, vocode_error *error) {
    fprintf(to, "<figure><figcaption>%s</figcaption><img alt=\"Spectrogram: %s, ", title, title);
    page_escape(name, to);
    fprintf(to, "\" width=\"%zu\" height=\"%zu\" src=\"data:image/png;base64,", PICTURE_WIDTH, PICTURE_HEIGHT);
    TRY(write_picture(samples, n, to, error));
    fputs("\"><audio controls preload=\"metadata\" src=\"data:audio/wav;base64,", to);
    TRY(write_sound(samples, n, sample_rate, to, error));
    fputs("\"></audio></figure>\n", to);
    return VOCODE_OK;
}

vocode_status page_make(const char *path, vocode_status (*write)(void *context, FILE *to, vocode_error *error),
                        void *context, vocode_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *page = open_memstream(&text, &size);
    if (!page) return failed(error, VOCODE_MEMORY, "no memory for the report %s", path);
    vocode_status status = write(context, page, error);
    bool bad = ferror(page) != 0;
    if ((fclose(page) != 0 || bad) && status == VOCODE_OK)
        status = failed(error, VOCODE_MEMORY, "no memory for the report %s", path);
    if (status == VOCODE_OK) {
        interrupt_hold(path);
        status = atomic_put(path, text, size, error);
        interrupt_release();
    }
    free(text);
    return status;
}
