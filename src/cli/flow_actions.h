/* What "vocode flow" does, an action a function. */
#ifndef CLI_FLOW_ACTIONS_H
#define CLI_FLOW_ACTIONS_H

#include "cli/options.h"
#include "density/vae.h"
#include "density/vectors.h"
#include "io/npy.h"

/* given->items are those of the command line, the action's name first; as many as the table says. */
vocode_status flow_fit(const arguments *given, console *out, vocode_error *error);
vocode_status flow_sample(const arguments *given, console *out, vocode_error *error);
vocode_status flow_score(const arguments *given, console *out, vocode_error *error);
vocode_status flow_encode(const arguments *given, console *out, vocode_error *error);
vocode_status flow_decode(const arguments *given, console *out, vocode_error *error);
vocode_status flow_plot(const arguments *given, console *out, vocode_error *error);
vocode_status flow_vi(const arguments *given, console *out, vocode_error *error);
vocode_status flow_vae(const arguments *given, console *out, vocode_error *error);
vocode_status flow_list(const arguments *given, console *out, vocode_error *error);

/* The model items[1] that flow_vae wrote, of which there is no --context. */
vocode_status vae_open_without_context(const arguments *given, vae **out, vocode_error *error);

/* The same of such a model. */
vocode_status vae_sample_to(const arguments *given, size_t rows, vocode_error *error);
vocode_status vae_score_rows(const arguments *given, console *out, vocode_error *error);
vocode_status vae_encode_to(const arguments *given, vocode_error *error);
vocode_status vae_decode_to(const arguments *given, vocode_error *error);

/* Rows of a .npy: [n, d], [n] as n rows of one number, or images [n, height, width] and [n, height, width, planes].
 * VOCODE_SHAPE: another rank, no rows, no columns. */
vocode_status rows_read(const char *path, npy_array *out, vocode_error *error);
size_t rows_width(const npy_array *rows);     /* numbers of a row */
image_size rows_image(const npy_array *rows); /* all 0 where they are no images */

/* VOCODE_SHAPE where rows have not so many numbers, or are images of another size than the model's; rows that are none
 * may be any of as many numbers. */
vocode_status rows_fit(const char *path, const npy_array *rows, size_t channels, image_size wanted, const char *model,
                       vocode_error *error);

/* Writes values [rows, channels], with the axes of images where they are some. */
vocode_status rows_put(const char *path, const float *values, size_t rows, size_t channels, image_size image,
                       vocode_error *error);

/* --context, or an empty array where it is not given; it must have so many rows (0: any number). */
vocode_status context_read(const arguments *given, size_t rows, npy_array *out, vocode_error *error);

/* VOCODE_SHAPE where the model has a context of another width, VOCODE_VALUE where it is not finite. */
vocode_status context_check(const arguments *given, const vectors_model *model, const npy_array *context,
                            vocode_error *error);

int threads_of(const arguments *given);

#endif
