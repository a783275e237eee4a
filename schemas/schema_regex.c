#define PCRE2_CODE_UNIT_WIDTH 8

#include "schemas/schema_regex.h"

#include <assert.h>

#include <pcre2.h>

#include "platform/mem.h"

/* ECMA-262's white space and line terminators, as they stand inside a class. */
#define SPACES                                                                                     \
    "\\x09-\\x0d\\x20\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000\\ufeff"
/* What '.' does not match. */
#define LINE_ENDS "\\x0a\\x0d\\u2028\\u2029"

struct cairn_schema_regex {
    pcre2_code *code;
    char *source; /* owned */
    size_t source_size;
};

struct cairn_schema_matcher {
    pcre2_general_context *memory;
    pcre2_match_context *limits;
    pcre2_match_data *data;
};

static void *allocate(size_t size, void *data)
{
    (void)data;
    return cairn_mem_alloc(size);
}

static void release(void *memory, void *data)
{
    (void)data;
    cairn_mem_free(memory);
}

struct translation {
    const char *at;
    const char *end;
    struct cairn_buf out; /* the pattern in PCRE2's dialect */
    const char *fault;    /* static */
    bool in_class;
    bool is_quantified; /* the last thing was a quantifier */
};

/* The long names of general categories, which PCRE2 does not know. */
static const struct {
    const char *name;
    const char *code;
} categories[] = {{"Letter", "L"},
                  {"Cased_Letter", "LC"},
                  {"Uppercase_Letter", "Lu"},
                  {"Lowercase_Letter", "Ll"},
                  {"Titlecase_Letter", "Lt"},
                  {"Modifier_Letter", "Lm"},
                  {"Other_Letter", "Lo"},
                  {"Mark", "M"},
                  {"Nonspacing_Mark", "Mn"},
                  {"Spacing_Mark", "Mc"},
                  {"Enclosing_Mark", "Me"},
                  {"Number", "N"},
                  {"Decimal_Number", "Nd"},
                  {"digit", "Nd"},
                  {"Letter_Number", "Nl"},
                  {"Other_Number", "No"},
                  {"Punctuation", "P"},
                  {"punct", "P"},
                  {"Symbol", "S"},
                  {"Math_Symbol", "Sm"},
                  {"Currency_Symbol", "Sc"},
                  {"Separator", "Z"},
                  {"Space_Separator", "Zs"},
                  {"Other", "C"},
                  {"Control", "Cc"}};

static enum cairn_rc refuse(struct translation *t, const char *what)
{
    t->fault = what;
    return CAIRN_EINVAL;
}

/* The next size bytes as they are. */
static enum cairn_rc copy(struct translation *t, size_t size)
{
    assert(size <= (size_t)(t->end - t->at));
    struct cairn_slice piece = cairn_slice_of(t->at, size);
    t->at += size;
    return cairn_buf_append(&t->out, piece);
}

/* text in place of the next skip bytes. */
static enum cairn_rc put(struct translation *t, size_t skip, const char *text)
{
    assert(skip <= (size_t)(t->end - t->at));
    t->at += skip;
    return cairn_buf_append_str(&t->out, text);
}

/* \p{...} or \P{...}. */
static enum cairn_rc translate_property(struct translation *t)
{
    struct cairn_slice rest = cairn_slice_of(t->at, (size_t)(t->end - t->at));
    size_t close = cairn_slice_find(rest, '}');
    if (close == rest.size || rest.data[2] != '{') {
        return refuse(t, "\\p without a property in braces");
    }
    struct cairn_slice name = cairn_slice_of(rest.data + 3, close - 3);
    for (size_t i = 0; i < sizeof(categories) / sizeof(categories[0]); i++) {
        if (cairn_slice_is(name, categories[i].name)) {
            enum cairn_rc rc = copy(t, 3);
            if (rc == CAIRN_OK) {
                rc = put(t, name.size, categories[i].code);
            }
            return rc == CAIRN_OK ? copy(t, 1) : rc;
        }
    }
    return copy(t, close + 1);
}

/* \s and \S are wider than PCRE2's. Inside a class \S cannot be spelt out and stays PCRE2's, which
 * is right in the common [\s\S]. */
static enum cairn_rc translate_space(struct translation *t, bool negated)
{
    if (t->in_class) {
        return negated ? copy(t, 2) : put(t, 2, SPACES);
    }
    return put(t, 2, negated ? "[^" SPACES "]" : "[" SPACES "]");
}

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static enum cairn_rc translate_escape(struct translation *t)
{
    if (t->end - t->at < 2) {
        return refuse(t, "a backslash at the end");
    }
    char code = t->at[1];
    t->is_quantified = false;
    if (code == 's' || code == 'S') {
        return translate_space(t, code == 'S');
    }
    if (code == 'p' || code == 'P') {
        return t->end - t->at < 4 ? refuse(t, "\\p without a property in braces")
                                  : translate_property(t);
    }
    /* \c takes a letter, which must not be read as an escape of its own. */
    if (code == 'c') {
        bool is_control = t->end - t->at >= 3 && is_alphanumeric(t->at[2]) && t->at[2] > '9';
        return is_control ? copy(t, 3) : refuse(t, "\\c without a letter");
    }
    if (is_alphanumeric(code) && strchr("dDwWbBfnrtvxuk0123456789", code) == NULL) {
        return refuse(t, "an escape that ECMA-262 does not know");
    }
    return copy(t, 2);
}

static enum cairn_rc translate_class(struct translation *t)
{
    char c = *t->at;
    if (c == ']') {
        t->in_class = false;
    }
    /* PCRE2 would take [:alpha:], [.x.] and [=x=] for POSIX classes. */
    return c == '[' ? put(t, 1, "\\[") : copy(t, 1);
}

/* '(' of a group: of what follows a '?' ECMA-262 knows (?: (?= (?! (?<= (?<! (?<name>. */
static enum cairn_rc translate_group(struct translation *t)
{
    t->is_quantified = false;
    if (t->end - t->at >= 2 && t->at[1] == '*') {
        return refuse(t, "nothing to repeat");
    }
    if (t->end - t->at < 2 || t->at[1] != '?') {
        return copy(t, 1);
    }
    char kind = t->end - t->at >= 3 ? t->at[2] : '\0';
    if (kind == '\0' || strchr(":=!<", kind) == NULL) {
        return refuse(t, "a group that ECMA-262 does not know");
    }
    return copy(t, 3);
}

static enum cairn_rc translate_quantifier(struct translation *t)
{
    char c = *t->at;
    if (t->is_quantified && c != '?') {
        return refuse(t, "nothing to repeat");
    }
    t->is_quantified = !t->is_quantified;
    return copy(t, 1);
}

static enum cairn_rc translate_next(struct translation *t)
{
    char c = *t->at;
    if (c == '\\') {
        return translate_escape(t);
    }
    if (t->in_class) {
        return translate_class(t);
    }
    if (c == '(') {
        return translate_group(t);
    }
    if (c == '*' || c == '+' || c == '?') {
        return translate_quantifier(t);
    }
    /* The end of {n,m}: a '?' may follow, a '+' may not. */
    t->is_quantified = c == '}';
    if (c == '.') {
        return put(t, 1, "[^" LINE_ENDS "]");
    }
    t->in_class = c == '[';
    if (c == '[' && t->end - t->at >= 2 && t->at[1] == '^') {
        return copy(t, 2);
    }
    return copy(t, 1);
}

/* The pattern in PCRE2's dialect, in t->out. */
static enum cairn_rc translate(struct translation *t, struct cairn_err *err)
{
    const char *start = t->at;
    enum cairn_rc rc = CAIRN_OK;
    while (rc == CAIRN_OK && t->at < t->end) {
        rc = translate_next(t);
    }
    if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(err, rc, "%s at byte %zu", t->fault != NULL ? t->fault : "out of memory",
                        (size_t)(t->at - start));
    }
    return rc;
}

static enum cairn_rc compile(struct cairn_slice pattern, pcre2_code **ret_code,
                             struct cairn_err *err)
{
    enum cairn_rc rc = CAIRN_OK;
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *compiled = NULL;
    pcre2_general_context *memory = pcre2_general_context_create(allocate, release, NULL);
    pcre2_compile_context *context = memory == NULL ? NULL : pcre2_compile_context_create(memory);
    if (context == NULL) {
        rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a pattern");
        goto done;
    }
    (void)pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX);
    compiled =
        pcre2_compile((PCRE2_SPTR)(pattern.size == 0 ? "" : pattern.data), pattern.size,
                      PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS |
                          PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C,
                      &code, &offset, context);
    if (compiled == NULL) {
        char text[120] = "";
        (void)pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
        rc = code == PCRE2_ERROR_HEAP_FAILED
                 ? CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a pattern")
                 : CAIRN_FAIL(err, CAIRN_EINVAL, "%s at byte %zu", text, (size_t)offset);
        goto done;
    }
    /* Without a JIT on this machine the interpreter serves. */
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE);
    *ret_code = compiled;
done:
    pcre2_compile_context_free(context);
    pcre2_general_context_free(memory);
    return rc;
}

enum cairn_rc cairn_schema_regex_new(struct cairn_slice pattern,
                                     struct cairn_schema_regex **ret_regex, struct cairn_err *err)
{
    assert(ret_regex != NULL);
    if (pattern.size > CAIRN_REGEX_PATTERN_MAX) {
        return CAIRN_FAIL(err, CAIRN_EINVAL, "a pattern of more than %u bytes",
                          CAIRN_REGEX_PATTERN_MAX);
    }
    const char *start = pattern.size == 0 ? "" : pattern.data;
    struct translation t = {.at = start,
                            .end = start + pattern.size,
                            /* The longest replacement is that of \s. */
                            .out = {.max = 1 + CAIRN_REGEX_PATTERN_MAX * sizeof(SPACES)}};
    pcre2_code *code = NULL;
    enum cairn_rc rc = translate(&t, err);
    if (rc == CAIRN_OK) {
        rc = compile(cairn_buf_slice(&t.out), &code, err);
    }
    cairn_buf_fini(&t.out);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_schema_regex *regex = cairn_mem_alloc(sizeof(*regex));
    char *source = cairn_mem_strndup(start, pattern.size);
    if (regex == NULL || source == NULL) {
        pcre2_code_free(code);
        cairn_mem_free(regex);
        cairn_mem_free(source);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "no memory for a pattern");
    }
    *regex = (struct cairn_schema_regex){code, source, pattern.size};
    *ret_regex = regex;
    return CAIRN_OK;
}

void cairn_schema_regex_free(struct cairn_schema_regex *regex)
{
    if (regex != NULL) {
        pcre2_code_free(regex->code);
        cairn_mem_free(regex->source);
        cairn_mem_free(regex);
    }
}

struct cairn_slice cairn_schema_regex_source(const struct cairn_schema_regex *regex)
{
    assert(regex != NULL);
    return cairn_slice_of(regex->source, regex->source_size);
}

void cairn_schema_matcher_free(struct cairn_schema_matcher *matcher)
{
    if (matcher != NULL) {
        pcre2_match_data_free(matcher->data);
        pcre2_match_context_free(matcher->limits);
        pcre2_general_context_free(matcher->memory);
        cairn_mem_free(matcher);
    }
}

static struct cairn_schema_matcher *make_matcher(void)
{
    struct cairn_schema_matcher *matcher = cairn_mem_zalloc(1, sizeof(*matcher));
    if (matcher == NULL) {
        return NULL;
    }
    matcher->memory = pcre2_general_context_create(allocate, release, NULL);
    if (matcher->memory != NULL) {
        matcher->limits = pcre2_match_context_create(matcher->memory);
        matcher->data = pcre2_match_data_create(1, matcher->memory);
    }
    if (matcher->limits == NULL || matcher->data == NULL) {
        cairn_schema_matcher_free(matcher);
        return NULL;
    }
    (void)pcre2_set_match_limit(matcher->limits, CAIRN_REGEX_MATCH_MAX);
    return matcher;
}

enum cairn_rc cairn_schema_regex_match(const struct cairn_schema_regex *regex,
                                       struct cairn_slice text,
                                       struct cairn_schema_matcher **matcher, bool *ret_matches)
{
    assert(regex != NULL);
    assert(matcher != NULL);
    if (*matcher == NULL) {
        *matcher = make_matcher();
        if (*matcher == NULL) {
            return CAIRN_ENOMEM;
        }
    }
    PCRE2_SPTR subject = (PCRE2_SPTR)(text.size == 0 ? "" : text.data);
    int found = pcre2_match(regex->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK,
                            (*matcher)->data, (*matcher)->limits);
    if (found == PCRE2_ERROR_JIT_STACKLIMIT) {
        found = pcre2_match(regex->code, subject, text.size, 0, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                            (*matcher)->data, (*matcher)->limits);
    }
    if (found == PCRE2_ERROR_NOMEMORY) {
        return CAIRN_ENOMEM;
    }
    /* 0: it matched, and the pattern has groups for which the match data has no room. */
    if (found < 0 && found != PCRE2_ERROR_NOMATCH) {
        return CAIRN_EINTERNAL;
    }
    *ret_matches = found >= 0;
    return CAIRN_OK;
}

bool cairn_schema_regex_is_valid(struct cairn_slice text)
{
    struct cairn_schema_regex *regex = NULL;
    if (cairn_schema_regex_new(text, &regex, NULL) != CAIRN_OK) {
        return false;
    }
    cairn_schema_regex_free(regex);
    return true;
}
