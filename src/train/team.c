#include "train/team.h"

#include <sodium.h>
#include <stdint.h>
#include <string.h>

enum { HASH_WORDS = crypto_generichash_BYTES_MIN / sizeof(uint32_t) };

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
    uint32_t hash[HASH_WORDS];
    double ends[2 * HASH_WORDS]; /* of each word: the least, and minus the most */
    crypto_generichash((unsigned char *)hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
    for (size_t i = 0; i < HASH_WORDS; i++) {
        ends[i] = (double)hash[i];
        ends[HASH_WORDS + i] = -(double)hash[i];
    }
    team->least(team->context, ends, 2 * HASH_WORDS);
    for (size_t i = 0; i < HASH_WORDS; i++)
        if (ends[i] != -ends[HASH_WORDS + i]) return failed(error, VOCODE_VALUE, "%s", sentence);
    return VOCODE_OK;
}
