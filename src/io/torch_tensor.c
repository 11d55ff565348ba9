/* The calls that make tensors, and reading what they describe. */
#include <stdio.h>

#include "io/bytes.h"
#include "io/torch_container.h"

#define UNWRAP_LIMIT 8 /* parameters of parameters of ... */

/* What a callable's arguments mean. */
typedef enum maker_kind {
    MAKES_TENSOR, /* storage, offset, size, stride, ... */
    MAKES_TYPED,  /* the same, with a dtype as argument 6 */
    WRAPS_FIRST,  /* argument 0 is the tensor */
    CALLS_OTHER   /* argument 0 is called with the tuple that is argument 2 */
} maker_kind;

static const struct {
    const char *name;
    maker_kind kind;
} makers[] = {
    {"torch._utils _rebuild_tensor", MAKES_TENSOR},
    {"torch._utils _rebuild_tensor_v2", MAKES_TENSOR},
    {"torch._utils _rebuild_tensor_v3", MAKES_TYPED},
    {"torch._utils _rebuild_parameter", WRAPS_FIRST},
    {"torch._utils _rebuild_parameter_with_state", WRAPS_FIRST},
    {"torch._utils _rebuild_device_tensor_from_cpu_tensor", WRAPS_FIRST},
    {"torch.nn.parameter Parameter", WRAPS_FIRST},
    {"torch.nn.parameter Buffer", WRAPS_FIRST},
    {"torch.autograd.variable Variable", WRAPS_FIRST},
    {"torch.tensor _rebuild_from_type", CALLS_OTHER},
    {"torch._tensor _rebuild_from_type", CALLS_OTHER},
    {"torch._tensor _rebuild_from_type_v2", CALLS_OTHER},
};

#define MAKERS (sizeof makers / sizeof *makers)

static const pickle_node *tuple_at(const pickle *graph, pickle_ref ref) {
    if (ref == PICKLE_ABSENT) return NULL;
    const pickle_node *node = pickle_at(graph, ref);
    return node->kind == PICKLE_TUPLE || node->kind == PICKLE_LIST ? node : NULL;
}

/* The arguments of the innermost call, which makes the tensor; NULL where ref is none. */
static const pickle_node *maker_of(const pickle *graph, pickle_ref ref, maker_kind *kind) {
    if (ref == PICKLE_ABSENT || pickle_at(graph, ref)->kind != PICKLE_OBJECT) return NULL;
    pickle_ref callee = pickle_class(graph, ref);
    const pickle_node *arguments = tuple_at(graph, pickle_at(graph, ref)->arguments);
    for (int depth = 0; depth < UNWRAP_LIMIT && arguments; depth++) {
        size_t row = 0;
        while (row < MAKERS && !pickle_says(graph, callee, makers[row].name)) row++;
        if (row == MAKERS || arguments->count == 0) return NULL;
        *kind = makers[row].kind;
        if (*kind == MAKES_TENSOR) return arguments->count >= 4 ? arguments : NULL;
        if (*kind == MAKES_TYPED) return arguments->count >= 7 ? arguments : NULL;
        if (*kind == WRAPS_FIRST) {
            const pickle_node *inner = pickle_at(graph, arguments->items[0]);
            if (inner->kind != PICKLE_OBJECT) return NULL;
            callee = pickle_class(graph, arguments->items[0]);
            arguments = tuple_at(graph, inner->arguments);
        } else {
            if (arguments->count < 3) return NULL;
            callee = arguments->items[0];
            arguments = tuple_at(graph, arguments->items[2]);
        }
    }
    return NULL;
}

int torch_is_tensor(const pickle *graph, pickle_ref ref) {
    maker_kind kind;
    return maker_of(graph, ref, &kind) != NULL;
}

/* A tuple of sizes; torch.Size(tuple) too. Returns its rank, or -1 where it is none. */
static int read_sizes(const pickle *graph, pickle_ref ref, size_t sizes[TORCH_MAX_RANK]) {
    pickle_ref inner = pickle_argument(graph, ref, 0);
    const pickle_node *tuple = tuple_at(graph, inner == PICKLE_ABSENT ? ref : inner);
    if (!tuple || tuple->count > TORCH_MAX_RANK) return -1;
    for (uint32_t i = 0; i < tuple->count; i++) {
        int64_t value;
        if (!pickle_integer(graph, tuple->items[i], &value) || value < 0) return -1;
        sizes[i] = (size_t)value;
    }
    return (int)tuple->count;
}

/* Product of the shape, and whether the last element lies in the storage. */
static int fits(torch_tensor *tensor) {
    size_t last = tensor->offset, reach;
    tensor->count = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (tensor->shape[i] == 0) tensor->count = 0;
    if (tensor->count == 0) return 1;
    for (int i = 0; i < tensor->rank; i++) {
        if (!size_multiply(tensor->count, tensor->shape[i], &tensor->count)) return 0;
        if (!size_multiply(tensor->shape[i] - 1, tensor->stride[i], &reach)) return 0;
        if (__builtin_add_overflow(last, reach, &last)) return 0;
    }
    return last < tensor->limit;
}

/* The storage that the tensor lies in, and the element type. */
static vocode_status describe_storage(const pickle *graph, const pickle_node *arguments, maker_kind kind,
                                      const char *name, torch_tensor *out, vocode_error *error) {
    torch_storage_claim claim;
    if (!torch_storage_identify(graph, arguments->items[0], &claim))
        return failed(error, VOCODE_FORMAT, "tensor %s has no storage", name);
    out->type = claim.type;
    if (kind == MAKES_TYPED) {
        out->type = torch_dtype_of(graph, arguments->items[6]);
        claim.class = arguments->items[6];
    }
    if (out->type == DTYPE_COUNT) {
        char text[PICKLE_CLASS_TEXT];
        return failed(error, VOCODE_UNSUPPORTED, "tensor %s is of the unsupported type %s", name,
                      pickle_class_text(graph, claim.class, text, sizeof text));
    }
    out->limit = claim.end;
    if (kind == MAKES_TYPED && claim.untyped) out->limit = claim.end / dtype_size(out->type);
    out->key = claim.key;
    int64_t offset;
    if (!pickle_integer(graph, arguments->items[1], &offset) || offset < 0 ||
        __builtin_add_overflow((size_t)offset, claim.first, &out->offset))
        return failed(error, VOCODE_FORMAT, "tensor %s has no valid offset", name);
    return VOCODE_OK;
}

vocode_status torch_tensor_describe(const torch_file *file, pickle_ref ref, const char *name, torch_tensor *out,
                                    vocode_error *error) {
    const pickle *graph = file->graph;
    maker_kind kind;
    const pickle_node *arguments = maker_of(graph, ref, &kind);
    if (!arguments) return failed(error, VOCODE_FORMAT, "%s is no tensor", name);
    *out = (torch_tensor){0};
    TRY(describe_storage(graph, arguments, kind, name, out, error));
    out->rank = read_sizes(graph, arguments->items[2], out->shape);
    if (out->rank < 0 || read_sizes(graph, arguments->items[3], out->stride) != out->rank)
        return failed(error, VOCODE_FORMAT, "tensor %s has no valid shape and strides of at most %d dimensions", name,
                      TORCH_MAX_RANK);
    if (!fits(out))
        return failed(error, VOCODE_FORMAT, "tensor %s reaches beyond its storage of %zu elements", name, out->limit);
    return VOCODE_OK;
}

/* Copies elements in C order: the innermost run at a time, the other indices like an odometer. */
static void gather(const torch_tensor *tensor, const unsigned char *bytes, int swap, float *target) {
    size_t width = dtype_size(tensor->type), index[TORCH_MAX_RANK] = {0};
    int inner = tensor->rank - 1;
    size_t run = tensor->rank > 0 ? tensor->shape[inner] : 1;
    size_t step = tensor->rank > 0 ? tensor->stride[inner] : 1;
    for (size_t done = 0; done < tensor->count; done += run) {
        size_t at = tensor->offset;
        for (int i = 0; i < inner; i++) at += index[i] * tensor->stride[i];
        if (step == 1)
            dtype_to_float(tensor->type, bytes + at * width, swap, target + done, run);
        else
            for (size_t j = 0; j < run; j++)
                dtype_to_float(tensor->type, bytes + (at + j * step) * width, swap, target + done + j, 1);
        for (int i = inner - 1; i >= 0 && ++index[i] == tensor->shape[i]; i--) index[i] = 0;
    }
}

vocode_status torch_tensor_read(torch_file *file, const torch_tensor *tensor, const char *name, float *target,
                                vocode_error *error) {
    const pickle_node *key = pickle_at(file->graph, tensor->key);
    const unsigned char *bytes = NULL;
    size_t size = 0, needed;
    if (tensor->count == 0) return VOCODE_OK;
    vocode_status status = file->zip ? torch_zip_storage(file, key, &bytes, &size, error)
                                     : torch_legacy_storage(file, key, &bytes, &size, error);
    if (status != VOCODE_OK) {
        char prefix[200];
        snprintf(prefix, sizeof prefix, "tensor %.180s", name);
        return failed_in(error, status, prefix);
    }
    if (!size_multiply(tensor->limit, dtype_size(tensor->type), &needed) || needed > size)
        return failed(error, VOCODE_FORMAT, "tensor %s needs a storage of %zu elements of %s, the file holds %zu bytes",
                      name, tensor->limit, dtype_name(tensor->type), size);
    gather(tensor, bytes, file->swap, target);
    return VOCODE_OK;
}
