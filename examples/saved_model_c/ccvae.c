/* Runs every signature of an exported CCVAE without Python, with the library that TensorFlow Serving uses too.
 *
 *     ccvae DIR/saved_model/1 OUT FIRST.ppm SECOND.ppm PICTURE.png [VALUE]
 *
 * FIRST and SECOND are pictures of the model's size, binary PPM (or PGM for grey models); they make a batch of two.
 * PICTURE is a PNG or JPEG file of any size, for `classify_bytes`. Every output goes to OUT/SIGNATURE.OUTPUT as the
 * plain numbers of the tensor; strings are printed. The first label is set to VALUE by `set_labels` and `generate`: to
 * an index, or to a number in its own units, such as 60.5, if it is a number label; without VALUE to 1, which turns a
 * binary label on. `swap` carries it from one picture to the other. For exports of layout nhwc.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { BATCH = 2, MOST = 16, NAME = 256 };

typedef struct {
    const uint8_t *at, *end;
} Bytes;

typedef struct {
    char key[NAME], operation[NAME];
    int index, rank;
    TF_DataType type;
    int64_t shape[8];
} Tensor;

typedef struct {
    char name[NAME];
    Tensor inputs[MOST], outputs[MOST];
    int input_count, output_count;
} Signature;

typedef struct {
    Bytes pictures[BATCH], file;
    double value;
} Inputs;

static void fail(const char *what, const char *why) {
    fprintf(stderr, "error: %s: %s\n", what, why);
    exit(2);
}

static void check(const TF_Status *status, const char *what) {
    if (TF_GetCode(status) != TF_OK) fail(what, TF_Message(status));
}

/* Protocol buffers: only what the signatures of a MetaGraphDef need. */

static uint64_t varint(Bytes *bytes) {
    uint64_t value = 0;
    for (int shift = 0; bytes->at < bytes->end; shift += 7) {
        uint8_t byte = *bytes->at++;
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
    fail("signatures", "the message ends too early");
    return 0;
}

/* Reads the next field: its number, and its content or, for a number, its value. Returns 0 at the end. */
static int field(Bytes *message, Bytes *content, uint64_t *value) {
    if (message->at >= message->end) return 0;
    uint64_t tag = varint(message);
    *value = 0;
    content->at = content->end = message->at;
    if ((tag & 7) == 0) {
        *value = varint(message);
        return (int)(tag >> 3);
    }
    uint64_t size = (tag & 7) == 2 ? varint(message) : (tag & 7) == 1 ? 8 : 4;
    if (size > (uint64_t)(message->end - message->at)) fail("signatures", "the message ends too early");
    content->at = message->at;
    content->end = message->at += size;
    return (int)(tag >> 3);
}

static void copy(char *to, Bytes text) {
    size_t size = (size_t)(text.end - text.at);
    if (size >= NAME) fail("signatures", "a name is too long");
    memcpy(to, text.at, size);
    to[size] = 0;
}

static void read_shape(Bytes message, Tensor *tensor) {
    Bytes content, size;
    uint64_t value;
    for (int number; (number = field(&message, &content, &value));) {
        if (number != 2 || tensor->rank == 8) continue;
        int64_t length = 0;
        while ((number = field(&content, &size, &value)))
            if (number == 1) length = (int64_t)value;
        tensor->shape[tensor->rank++] = length < 0 ? BATCH : length;
    }
}

static void read_tensor(Bytes entry, Tensor *tensor) {
    Bytes content, inner;
    uint64_t value;
    for (int number; (number = field(&entry, &content, &value));) {
        if (number == 1) copy(tensor->key, content);
        if (number != 2) continue;
        while ((number = field(&content, &inner, &value))) {
            if (number == 1) copy(tensor->operation, inner);
            if (number == 2) tensor->type = (TF_DataType)value;
            if (number == 3) read_shape(inner, tensor);
        }
    }
    char *colon = strrchr(tensor->operation, ':');
    if (colon) {
        tensor->index = atoi(colon + 1);
        *colon = 0;
    }
}

static void read_signature(Bytes entry, Signature *signature) {
    Bytes content, inner;
    uint64_t value;
    for (int number; (number = field(&entry, &content, &value));) {
        if (number == 1) copy(signature->name, content);
        if (number != 2) continue;
        while ((number = field(&content, &inner, &value))) {
            if (number == 1 && signature->input_count < MOST)
                read_tensor(inner, &signature->inputs[signature->input_count++]);
            if (number == 2 && signature->output_count < MOST)
                read_tensor(inner, &signature->outputs[signature->output_count++]);
        }
    }
}

static int read_signatures(const TF_Buffer *graph, Signature *signatures) {
    Bytes message = {graph->data, (const uint8_t *)graph->data + graph->length}, content;
    uint64_t value;
    int count = 0;
    for (int number; (number = field(&message, &content, &value));) {
        if (number != 5 || count == MOST) continue;
        memset(&signatures[count], 0, sizeof(Signature));
        read_signature(content, &signatures[count]);
        if (strncmp(signatures[count].name, "__", 2)) count++;
    }
    return count;
}

/* Files. */

static Bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) fail(path, "no such file");
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *data = malloc(size ? size : 1);
    if (!data || fread(data, 1, size, file) != size) fail(path, "not readable");
    fclose(file);
    return (Bytes){data, data + size};
}

/* The pixels of a binary PPM or PGM file without comments. */
static Bytes read_picture(const char *path) {
    Bytes file = read_file(path);
    int width, height, most, header = 0;
    char kind;
    char start[64] = {0};
    memcpy(start, file.at, (size_t)(file.end - file.at) < 63 ? (size_t)(file.end - file.at) : 63);
    if (sscanf(start, "P%c %d %d %d%n", &kind, &width, &height, &most, &header) != 4 || most != 255 ||
        (kind != '5' && kind != '6'))
        fail(path, "not a binary PPM or PGM file");
    Bytes pixels = {file.at + header + 1, file.end};
    if (pixels.end - pixels.at != (ptrdiff_t)width * height * (kind == '6' ? 3 : 1)) fail(path, "wrong size");
    return pixels;
}

static void write_output(const char *folder, const char *signature, const Tensor *output, TF_Tensor *tensor) {
    printf("%s %s", signature, output->key);
    for (int i = 0; i < TF_NumDims(tensor); i++) printf(" %lld", (long long)TF_Dim(tensor, i));
    printf("\n");
    if (TF_TensorType(tensor) == TF_STRING) {
        const TF_TString *text = TF_TensorData(tensor);
        for (int64_t i = 0; i < TF_TensorElementCount(tensor); i++)
            printf("  %.*s\n", (int)TF_StringGetSize(&text[i]), TF_StringGetDataPointer(&text[i]));
        return;
    }
    char path[1024];
    snprintf(path, sizeof path, "%s/%s.%s", folder, signature, output->key);
    FILE *file = fopen(path, "wb");
    if (!file) fail(path, "cannot be written");
    fwrite(TF_TensorData(tensor), 1, TF_TensorByteSize(tensor), file);
    fclose(file);
}

/* Running. */

static void free_nothing(void *data, size_t length, void *argument) {
    (void)data, (void)length, (void)argument;
}

static TF_Tensor *files_tensor(Bytes file) {
    static TF_TString texts[BATCH];
    for (int i = 0; i < BATCH; i++) {
        TF_StringInit(&texts[i]);
        TF_StringCopy(&texts[i], (const char *)file.at, (size_t)(file.end - file.at));
    }
    int64_t shape[] = {BATCH};
    return TF_NewTensor(TF_STRING, shape, 1, texts, sizeof texts, free_nothing, NULL);
}

static TF_Tensor *input_tensor(const Tensor *input, const Inputs *from) {
    if (input->type == TF_STRING) return files_tensor(from->file);
    size_t row = 1;
    for (int i = 1; i < input->rank; i++) row *= (size_t)input->shape[i];
    TF_Tensor *tensor = TF_AllocateTensor(input->type, input->shape, input->rank, BATCH * row * TF_DataTypeSize(input->type));
    void *data = TF_TensorData(tensor);
    for (size_t i = 0; i < BATCH; i++) {
        size_t other = strcmp(input->key, "donor_image") ? i : BATCH - 1 - i;
        for (size_t j = 0; j < row; j++) {
            size_t at = i * row + j;
            if (!strcmp(input->key, "image") || !strcmp(input->key, "donor_image")) {
                Bytes pixels = from->pictures[other];
                if ((size_t)(pixels.end - pixels.at) != row) fail(input->key, "the pictures have another size");
                ((float *)data)[at] = pixels.at[j] / 255.0f;
            } else if (!strcmp(input->key, "latents")) {
                ((float *)data)[at] = 0.1f * (float)(i + 1);
            } else if (!strcmp(input->key, "labels")) {
                double value = j == 0 ? from->value : 1;
                if (input->type == TF_FLOAT)
                    ((float *)data)[at] = (float)value;
                else
                    ((int32_t *)data)[at] = (int32_t)value;
            } else if (!strcmp(input->key, "mask")) {
                ((uint8_t *)data)[at] = j == 0;
            } else if (!strcmp(input->key, "seed")) {
                ((int32_t *)data)[at] = (int32_t)at;
            } else if (!strcmp(input->key, "row")) {
                ((int32_t *)data)[at] = 0;
            } else {
                fail(input->key, "an input that this program does not know");
            }
        }
    }
    return tensor;
}

static TF_Output operation(TF_Graph *graph, const Tensor *tensor) {
    TF_Output output = {TF_GraphOperationByName(graph, tensor->operation), tensor->index};
    if (!output.oper) fail(tensor->operation, "no such operation");
    return output;
}

static void run(TF_Session *session, TF_Graph *graph, const Signature *signature, const Inputs *from,
                const char *folder) {
    TF_Output inputs[MOST], outputs[MOST];
    TF_Tensor *given[MOST], *results[MOST] = {0};
    TF_Status *status = TF_NewStatus();
    for (int i = 0; i < signature->input_count; i++) {
        inputs[i] = operation(graph, &signature->inputs[i]);
        given[i] = input_tensor(&signature->inputs[i], from);
    }
    for (int i = 0; i < signature->output_count; i++) outputs[i] = operation(graph, &signature->outputs[i]);
    TF_SessionRun(session, NULL, inputs, given, signature->input_count, outputs, results, signature->output_count, NULL,
                  0, NULL, status);
    check(status, signature->name);
    for (int i = 0; i < signature->output_count; i++) {
        write_output(folder, signature->name, &signature->outputs[i], results[i]);
        TF_DeleteTensor(results[i]);
    }
    for (int i = 0; i < signature->input_count; i++) TF_DeleteTensor(given[i]);
    TF_DeleteStatus(status);
}

int main(int count, char **arguments) {
    if (count != 6 && count != 7) fail("usage", "ccvae DIR/saved_model/1 OUT FIRST.ppm SECOND.ppm PICTURE.png [VALUE]");
    Inputs inputs = {{read_picture(arguments[3]), read_picture(arguments[4])}, read_file(arguments[5]), 1};
    char *rest = "";
    if (count == 7) inputs.value = strtod(arguments[6], &rest);
    if (count == 7 && (rest == arguments[6] || *rest)) fail(arguments[6], "not a number");
    TF_Status *status = TF_NewStatus();
    TF_Graph *graph = TF_NewGraph();
    TF_SessionOptions *options = TF_NewSessionOptions();
    TF_Buffer *meta = TF_NewBuffer();
    const char *tags[] = {"serve"};
    TF_Session *session = TF_LoadSessionFromSavedModel(options, NULL, arguments[1], tags, 1, graph, meta, status);
    check(status, arguments[1]);
    static Signature signatures[MOST];
    int found = read_signatures(meta, signatures);
    for (int i = 0; i < found; i++) run(session, graph, &signatures[i], &inputs, arguments[2]);
    TF_CloseSession(session, status);
    TF_DeleteSession(session, status);
    TF_DeleteBuffer(meta);
    TF_DeleteSessionOptions(options);
    TF_DeleteGraph(graph);
    TF_DeleteStatus(status);
    return 0;
}
