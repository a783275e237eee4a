#include <stdio.h>
#include <string.h>

#include "tools/help.h"
#include "tools/verbs.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

#define HELP_BYTES_MAX (256u * 1024u)

extern char **environ;

typedef int (*verb_fn)(const struct cairn_config *config, struct cairn_err *err);

static const verb_fn verbs[CAIRN_VERB_COUNT] = {
#define X(name, operands, text) [CAIRN_VERB_##name] = cairn_verb_##name,
    CAIRN_VERB_TABLE(X)
#undef X
};

static void complain(const char *text)
{
    (void)fprintf(stderr, "cairn: %s\n", text);
}

static int print_help(const enum cairn_verb *verb)
{
    struct cairn_buf out = {.max = HELP_BYTES_MAX};
    enum cairn_rc rc = verb == NULL ? cairn_help_overview(&out) : cairn_help_verb(*verb, &out);
    if (rc == CAIRN_OK) {
        (void)fwrite(out.data, 1, out.size, stdout);
    }
    cairn_buf_fini(&out);
    return rc == CAIRN_OK ? EXIT_OK : EXIT_FAILED;
}

static int check_operands(enum cairn_verb verb, const struct cairn_config *config)
{
    size_t wanted = cairn_verb_operand_count(verb);
    size_t given = cairn_config_operand_count(config);
    if (given == wanted) {
        return EXIT_OK;
    }
    const struct cairn_verb_info *info = cairn_verb_info(verb);
    if (given < wanted) {
        (void)fprintf(stderr, "cairn: %s needs %s; see cairn %s --help\n", info->name,
                      info->operands, info->name);
    } else {
        (void)fprintf(stderr, "cairn: %s: `%s` is one operand too many; see cairn %s --help\n",
                      info->name, cairn_config_operand(config, wanted), info->name);
    }
    return EXIT_USAGE;
}

static int run(enum cairn_verb verb, int argc, char **argv)
{
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_config *config = NULL;
    size_t row_count = 0;
    const struct cairn_config_row *rows = cairn_options(&row_count);
    struct cairn_config_input input = {
        .rows = rows,
        .row_count = row_count,
        .verb = 1u << verb,
        .argc = argc,
        .argv = (const char *const *)argv,
        .envp = (const char *const *)environ,
    };
    if (cairn_config_new(&input, &config, &err) != CAIRN_OK) {
        complain(err.text);
        return EXIT_USAGE;
    }
    int status = EXIT_OK;
    if (cairn_config_wants_help(config)) {
        status = print_help(&verb);
    } else {
        status = check_operands(verb, config);
        if (status == EXIT_OK) {
            status = verbs[verb](config, &err);
        }
        if (status != EXIT_OK && err.rc != CAIRN_OK) {
            complain(err.text);
        }
    }
    cairn_config_free(config);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)print_help(NULL);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return print_help(NULL);
    }
    enum cairn_verb verb = CAIRN_VERB_serve;
    if (strcmp(argv[1], "--version") == 0) {
        verb = CAIRN_VERB_version;
    } else if (!cairn_verb_find(argv[1], &verb)) {
        (void)fprintf(stderr, "cairn: there is no verb `%s`; cairn --help lists them\n", argv[1]);
        return EXIT_USAGE;
    }
    return run(verb, argc - 2, argv + 2);
}
