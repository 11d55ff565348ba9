#include "nn/networks.h"

void network_free(network *net) {
    if (net) net->type->destroy(net);
}
