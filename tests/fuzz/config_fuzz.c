/* Text that people write: a configuration file, an environment, flags and a time.
 *
 * The first byte says which door the rest goes through. Whatever comes in, the parse ends in a
 * configuration that prints, or in CAIRN_EINVAL with a sentence; a time that is read prints to a
 * text that reads back the same. */
#include "platform/config.h"

#include <assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "platform/clock.h"

enum { INPUT_MAX = 4096, ARGS_MAX = 64, PATH_TEXT_MAX = 64 };

static const struct cairn_config_row rows[] = {
    {"config", CAIRN_CONFIG_TEXT, "FILE", NULL, 0, 0, NULL, 1, "A file."},
    {"text", CAIRN_CONFIG_TEXT, NULL, "text", 0, 0, NULL, 1, "Any text."},
    {"number", CAIRN_CONFIG_UINT, "N", "4", 1, UINT64_MAX, NULL, 1, "A number."},
    {"size", CAIRN_CONFIG_BYTES, "SIZE", "4K", 1, UINT64_MAX, NULL, 1, "A size."},
    {"time", CAIRN_CONFIG_DURATION, "TIME", "4s", 0, UINT64_MAX, NULL, 1, "A time."},
    {"bool", CAIRN_CONFIG_BOOL, NULL, "true", 0, 0, NULL, 1, "Yes or no."},
    {"choice", CAIRN_CONFIG_CHOICE, NULL, "a", 0, 0, "a|bc|d", 1, "One of three."},
    {"api-secret", CAIRN_CONFIG_TEXT, NULL, NULL, 0, 0, NULL, 1, "Never shown."},
    {"list", CAIRN_CONFIG_LIST, NULL, NULL, 0, 0, NULL, 1, "Texts."},
};

static const struct cairn_config_input base = {
    .rows = rows, .row_count = sizeof(rows) / sizeof(rows[0]), .verb = 1};

/* Parse, print what was understood, and check what holds for every input. */
static void parse(const struct cairn_config_input *input)
{
    struct cairn_config *config = NULL;
    struct cairn_err err = {0};
    enum cairn_rc rc = cairn_config_new(input, &config, &err);
    if (rc != CAIRN_OK) {
        assert(rc == CAIRN_EINVAL || rc == CAIRN_ETOOBIG);
        assert(config == NULL && err.rc == rc && err.text[0] != '\0');
        return;
    }
    struct cairn_buf out = {.max = 1 << 20};
    rc = cairn_config_print(config, &out);
    assert(rc == CAIRN_OK && out.size > 0);
    cairn_buf_fini(&out);
    assert(cairn_config_uint(config, "number") >= 1);
    assert(cairn_config_uint(config, "choice") <= 2);
    cairn_config_free(config);
}

/* The input as a file that --config names; it lives in memory. */
static void parse_file(const char *data, size_t size)
{
    int fd = memfd_create("config", MFD_CLOEXEC);
    assert(fd >= 0);
    ssize_t put = write(fd, data, size);
    assert(put == (ssize_t)size);
    char path[PATH_TEXT_MAX];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const char *const args[] = {"--config", path};
    struct cairn_config_input input = base;
    input.argv = args;
    input.argc = 2;
    parse(&input);
    (void)close(fd);
}

/* The input as a list of lines: each an argument, or each a variable. */
static void parse_list(const char *data, size_t size, bool as_environment)
{
    char text[INPUT_MAX + 1];
    const char *list[ARGS_MAX + 1] = {NULL};
    int count = 0;
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t at = 0; at < size && count < ARGS_MAX; count++) {
        list[count] = text + at;
        at += cairn_slice_find(cairn_slice_of(text + at, size - at), '\n');
        text[at++] = '\0';
    }
    struct cairn_config_input input = base;
    if (as_environment) {
        input.envp = list;
    } else {
        input.argv = list;
        input.argc = count;
        for (int i = 0; i < count; i++) {
            /* A fuzzer that names files of the machine would read them. */
            if (strstr(list[i], "config") != NULL) {
                return;
            }
        }
    }
    parse(&input);
}

static void parse_time(const char *data, size_t size)
{
    int64_t time_us = 0;
    if (cairn_clock_parse(cairn_slice_of(data, size), &time_us) != CAIRN_OK) {
        return;
    }
    char text[CAIRN_TIME_TEXT_MAX];
    int64_t again_us = 0;
    size_t text_size = cairn_clock_format(time_us, text);
    enum cairn_rc rc = cairn_clock_parse(cairn_slice_of(text, text_size), &again_us);
    assert(rc == CAIRN_OK && again_us == time_us);
}

/* The name is libFuzzer's. NOLINTBEGIN(readability-identifier-naming) */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > INPUT_MAX) {
        return 0;
    }
    const char *text = (const char *)data + 1;
    switch (data[0]) {
    case 'f':
        parse_file(text, size - 1);
        break;
    case 'a':
        parse_list(text, size - 1, false);
        break;
    case 'e':
        if (memmem(text, size - 1, "CAIRN_CONFIG", 12) == NULL) {
            parse_list(text, size - 1, true);
        }
        break;
    case 't':
        parse_time(text, size - 1);
        break;
    default:
        break;
    }
    return 0;
}
/* NOLINTEND(readability-identifier-naming) */
