/* What a checkpoint's graph holds: every tensor under its full dotted name, and the places that state sizes. Only the
 * import files include this. */
#ifndef VOCODER_IMPORT_TREE_H
#define VOCODER_IMPORT_TREE_H

#include "io/torch_file.h"
#include "vocoder/import.h"

#define TREE_NAME_SIZE 256 /* bytes of a dotted name with its final zero; deeper ones are not of a model known here */

typedef struct tree_entry {
    char *name;     /* from the checkpoint's root: "state_dict.module.WN.0.start.bias" */
    pickle_ref ref; /* the call that makes it */
    int foreign;    /* an object of a class that is not understood */
} tree_entry;

typedef struct tree {
    torch_file *file;
    const pickle *graph;
    tree_entry *entries; /* [count], in the order of the file */
    size_t count, capacity;
    size_t steps; /* of the walk, so far: shared and cyclic nodes must not make it long */
    char path[TREE_NAME_SIZE];
    pickle_ref config; /* a mapping with n_flows, or PICKLE_ABSENT */
    pickle_ref audio;  /* a mapping with a sampling rate, or PICKLE_ABSENT */
    char *module_path; /* of the first pickled module that has n_flows, NULL where there is none */
    pickle_ref module; /* its state */
} tree;

/* Walks the graph of file, which must outlive the tree. Optimizer state is passed over. Free with tree_free, also after
 * a failure. */
vocode_status tree_walk(torch_file *file, tree *out, vocode_error *error);

void tree_free(tree *t);

/* The attribute key of a node: of a mapping its value, of an object that of its state. PICKLE_ABSENT where there is
 * none. */
pickle_ref tree_get(const pickle *graph, pickle_ref ref, const char *key);

/* The prefix of the names of the flow model among the entries ("state_dict.module."), in prefix, and its entries in
 * *models (how many prefixes there are). A checkpoint without one is refused: the sentence says what it seems to be. */
vocode_status tree_find_model(const tree *t, char prefix[TREE_NAME_SIZE], size_t *models, vocode_error *error);

/* Says which model of another kind the names are typical of, or what stands in the way. */
vocode_status tree_refuse(const tree *t, vocode_error *error);

/* Refuses an entry of a foreign class, naming both. */
vocode_status tree_refuse_class(const tree *t, const tree_entry *entry, vocode_error *error);

#endif
