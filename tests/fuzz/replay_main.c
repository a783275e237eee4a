/* Runs a fuzzer once over every file of the folders and files named on the command line. */
#include <stdio.h>

#include "platform/file.h"
#include "tests/fuzz/fuzz.h"

#define INPUT_BYTES_MAX (16u * 1024u * 1024u)

static int replay_file(const char *path)
{
    struct cairn_err err;
    struct cairn_buf input = {.max = INPUT_BYTES_MAX};
    if (cairn_file_read(path, &input, &err) != CAIRN_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    (void)LLVMFuzzerTestOneInput((const uint8_t *)(input.data == NULL ? "" : input.data),
                                 input.size);
    cairn_buf_fini(&input);
    return 1;
}

/* Number of files replayed, -1 when one cannot be read. */
static int replay_folder(const char *folder)
{
    struct cairn_err err;
    struct cairn_arena arena = {.max = 1u << 22};
    const char **names = NULL;
    size_t count = 0;
    int replayed = 0;
    if (cairn_file_list(folder, &arena, &names, &count, &err) != CAIRN_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        replayed = -1;
    }
    for (size_t i = 0; i < count && replayed >= 0; i++) {
        char path[CAIRN_PATH_MAX];
        int one = cairn_file_join(path, folder, names[i]) == CAIRN_OK ? replay_file(path) : -1;
        replayed = one < 0 ? -1 : replayed + one;
    }
    cairn_arena_fini(&arena);
    return replayed;
}

int main(int argc, char **argv)
{
    int total = 0;
    for (int i = 1; i < argc; i++) {
        int replayed =
            cairn_file_is_folder(argv[i]) ? replay_folder(argv[i]) : replay_file(argv[i]);
        if (replayed < 0) {
            return 1;
        }
        total += replayed;
    }
    (void)printf("%d inputs\n", total);
    /* A corpus that went missing must not look like one that passes. */
    return total > 0 ? 0 : 1;
}
