/* vocode: mel spectrograms to speech with normalizing flows. The umbrella header. */
#ifndef VOCODE_VOCODE_H
#define VOCODE_VOCODE_H

#include <vocode/flow.h>
#include <vocode/mel.h>
#include <vocode/model.h>
#include <vocode/status.h>
#include <vocode/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library's version, such as "0.1.0". */
VOCODE_API const char *vocode_version(void);

#ifdef __cplusplus
}
#endif
#endif
