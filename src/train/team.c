#include "train/team.h"

#include <stdint.h>
#include <time.h>

size_t team_rank(const train_team *team) {
    return team ? team->rank : 0;
}

size_t team_size(const train_team *team) {
    return team ? team->size : 1;
}

double team_sum(const train_team *team, double value) {
    if (team) team->sum(team->context, &value, 1);
    return value;
}

bool team_any(const train_team *team, bool value) {
    return team_sum(team, value ? 1 : 0) > 0;
}

vocode_status team_agree(train_team *team, vocode_status status, vocode_error *error) {
    if (!team) return status;
    double first = status == VOCODE_OK ? (double)team->size : (double)team->rank;
    team->least(team->context, &first, 1);
    if (first >= (double)team->size) return VOCODE_OK;
    team->agreed = true;
    team->silent = first != (double)team->rank;
    if (status != VOCODE_OK) return status;
    return failed(error, VOCODE_CANCELLED, "rank %.0f of %zu failed", first, team->size);
}

vocode_status team_check_same(train_team *team, const char *text, const char *sentence, vocode_error *error) {
    if (!team) return VOCODE_OK;
    uint32_t hash = 0x811c9dc5u; /* FNV-1a */
    for (const char *c = text; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x01000193u;
    double ends[] = {(double)hash, -(double)hash};
    team->least(team->context, ends, 2);
    return ends[0] == -ends[1] ? VOCODE_OK : failed(error, VOCODE_VALUE, "%s", sentence);
}

double team_clock(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}
