#include "schemas/openapi.h"

#include <assert.h>
#include <stdio.h>

#include "platform/file.h"
#include "platform/json.h"
#include "schemas/sql_query.h"

extern const unsigned char cairn_openapi_json[];
extern const unsigned int cairn_openapi_json_size;
extern const unsigned char cairn_docs_html[];
extern const unsigned int cairn_docs_html_size;

/* The document being made. The first failure stays; what is added after it does nothing. */
struct draft {
    const struct cairn_domain *domain;
    unsigned roles;
    struct cairn_arena *arena;
    struct cairn_err *err;
    enum cairn_rc rc;
};

static void fail_memory(struct draft *draft)
{
    if (draft->rc == CAIRN_OK) {
        draft->rc = CAIRN_FAIL(draft->err, CAIRN_ENOMEM, "the OpenAPI document");
    }
}

static void add(struct draft *draft, struct cairn_value_builder *map, struct cairn_slice key,
                struct cairn_value value)
{
    map->arena = draft->arena;
    if (draft->rc == CAIRN_OK && cairn_value_add_slice(map, key, value) != CAIRN_OK) {
        fail_memory(draft);
    }
}

static void add_text(struct draft *draft, struct cairn_value_builder *map, const char *key,
                     struct cairn_slice text)
{
    add(draft, map, cairn_slice_str(key), cairn_value_string(text));
}

static void push(struct draft *draft, struct cairn_value_builder *array, struct cairn_value value)
{
    array->arena = draft->arena;
    if (draft->rc == CAIRN_OK && cairn_value_push(array, value) != CAIRN_OK) {
        fail_memory(draft);
    }
}

/* {key: value} */
static struct cairn_value single(struct draft *draft, const char *key, struct cairn_value value)
{
    struct cairn_value_builder map = {.arena = draft->arena};
    add(draft, &map, cairn_slice_str(key), value);
    return cairn_value_map(&map);
}

/* {"$ref": "#/components/<kind>/<name>"} */
static struct cairn_value reference(struct draft *draft, const char *kind, struct cairn_slice name)
{
    char *text =
        cairn_arena_printf(draft->arena, "#/components/%s/%.*s", kind, CAIRN_SLICE_ARG(name));
    if (text == NULL) {
        fail_memory(draft);
    }
    return single(draft, "$ref", cairn_value_string(cairn_slice_str(text)));
}

static struct cairn_slice print_name(struct draft *draft, const char *kind, struct cairn_slice name)
{
    char *text = cairn_arena_printf(draft->arena, "%s.%.*s", kind, CAIRN_SLICE_ARG(name));
    if (text == NULL) {
        fail_memory(draft);
    }
    return cairn_slice_str(text);
}

static struct cairn_value read_json(struct draft *draft, struct cairn_slice text, const char *what)
{
    struct cairn_value value = cairn_value_null();
    if (draft->rc == CAIRN_OK) {
        enum cairn_rc rc = cairn_json_read(text, draft->arena, &value, NULL, draft->err);
        draft->rc = rc == CAIRN_OK ? rc : cairn_err_wrap(draft->err, rc, "%s", what);
    }
    return value;
}

/* ---- components ---- */

/* A schema of the domain, with the identity it has in the registry, so that its references hold
 * inside the bigger document too. */
static void add_schema(struct draft *draft, struct cairn_value_builder *schemas, const char *kind,
                       struct cairn_slice name, struct cairn_slice text)
{
    struct cairn_slice component = print_name(draft, kind, name);
    struct cairn_value schema = read_json(draft, text, "a schema");
    if (schema.type == CAIRN_MAP && cairn_value_at(&schema, "$id") == NULL) {
        struct cairn_value_builder map = {.arena = draft->arena};
        char *id =
            cairn_arena_printf(draft->arena, "cairn:///%s/%.*s.json", kind, CAIRN_SLICE_ARG(name));
        if (id == NULL) {
            fail_memory(draft);
            return;
        }
        add_text(draft, &map, "$id", cairn_slice_str(id));
        for (uint32_t i = 0; i < schema.count; i++) {
            add(draft, &map, cairn_value_slice(&schema.as.members[i].key),
                schema.as.members[i].value);
        }
        schema = cairn_value_map(&map);
    }
    add(draft, schemas, component, schema);
}

/* Two aggregates may take commands of one name, and then share its schema. */
static bool is_repeated(const struct cairn_domain *domain, size_t index)
{
    struct cairn_slice name = cairn_domain_command_at(domain, index)->name;
    for (size_t i = 0; i < index; i++) {
        if (cairn_slice_equal(cairn_domain_command_at(domain, i)->name, name)) {
            return true;
        }
    }
    return false;
}

/* One file of a shared folder. */
static void add_shared_file(struct draft *draft, struct cairn_value_builder *schemas,
                            const char *folder, const char *file)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_slice name = cairn_slice_str(file);
    struct cairn_slice ending = CAIRN_SLICE_LIT(".json");
    if (name.size <= ending.size || strcmp(name.data + name.size - ending.size, ending.data) != 0) {
        return;
    }
    int size = snprintf(path, sizeof(path), "%s/schemas/%s/%s", cairn_domain_folder(draft->domain),
                        folder, file);
    struct cairn_buf text = {.max = CAIRN_OPENAPI_BYTES_MAX};
    struct cairn_slice copy = CAIRN_SLICE_NONE;
    if (size > 0 && (size_t)size < sizeof(path) && draft->rc == CAIRN_OK) {
        draft->rc = cairn_file_read(path, &text, draft->err);
    }
    if (draft->rc == CAIRN_OK &&
        cairn_arena_copy(draft->arena, cairn_buf_slice(&text), &copy) != CAIRN_OK) {
        fail_memory(draft);
    }
    cairn_buf_fini(&text);
    add_schema(draft, schemas, folder, cairn_slice_of(file, name.size - ending.size), copy);
}

/* Folders beside commands and events hold what those refer to; the catalogue does not list them. */
static void add_shared(struct draft *draft, struct cairn_value_builder *schemas)
{
    char path[CAIRN_PATH_MAX];
    const char **folders = NULL;
    size_t folder_count = 0;
    if (cairn_file_join(path, cairn_domain_folder(draft->domain), "schemas") != CAIRN_OK ||
        draft->rc != CAIRN_OK) {
        return;
    }
    draft->rc = cairn_file_list(path, draft->arena, &folders, &folder_count, draft->err);
    for (size_t i = 0; draft->rc == CAIRN_OK && i < folder_count; i++) {
        char folder[CAIRN_PATH_MAX];
        const char **files = NULL;
        size_t file_count = 0;
        if (strcmp(folders[i], "commands") == 0 || strcmp(folders[i], "events") == 0 ||
            cairn_file_join(folder, path, folders[i]) != CAIRN_OK ||
            !cairn_file_is_folder(folder)) {
            continue;
        }
        draft->rc = cairn_file_list(folder, draft->arena, &files, &file_count, draft->err);
        for (size_t j = 0; draft->rc == CAIRN_OK && j < file_count; j++) {
            add_shared_file(draft, schemas, folders[i], files[j]);
        }
    }
}

static struct cairn_value make_schemas(struct draft *draft, const struct cairn_value *base)
{
    const struct cairn_domain *domain = draft->domain;
    struct cairn_value_builder schemas = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        add(draft, &schemas, cairn_value_slice(&base->as.members[i].key),
            base->as.members[i].value);
    }
    size_t commands =
        (draft->roles & CAIRN_OPENAPI_COMMAND) != 0 ? cairn_domain_command_count(domain) : 0;
    for (size_t i = 0; i < commands; i++) {
        const struct cairn_domain_command *command = cairn_domain_command_at(domain, i);
        if (!is_repeated(domain, i)) {
            add_schema(draft, &schemas, "commands", command->name, command->schema_text);
        }
    }
    for (size_t i = 0; i < cairn_domain_event_count(domain); i++) {
        const struct cairn_domain_event *event = cairn_domain_event_at(domain, i);
        add_schema(draft, &schemas, "events", event->type, event->schema_text);
    }
    add_shared(draft, &schemas);
    return cairn_value_map(&schemas);
}

static struct cairn_value media(struct draft *draft, const char *type, struct cairn_value schema)
{
    return single(draft, type, single(draft, "schema", schema));
}

/* Every problem that the error table knows, and what the template has besides. */
static struct cairn_value make_responses(struct draft *draft, const struct cairn_value *base)
{
    struct cairn_value_builder responses = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        add(draft, &responses, cairn_value_slice(&base->as.members[i].key),
            base->as.members[i].value);
    }
    struct cairn_value problem = reference(draft, "schemas", CAIRN_SLICE_LIT("Problem"));
    for (int rc = 1; rc < cairn_err_count(); rc++) {
        const struct cairn_err_info *info = cairn_err_info((enum cairn_rc)rc);
        struct cairn_value_builder response = {.arena = draft->arena};
        add_text(draft, &response, "description", cairn_slice_str(info->title));
        if (info->retry == CAIRN_RETRY_LATER) {
            add(draft, &response, CAIRN_SLICE_LIT("headers"),
                single(draft, "Retry-After",
                       reference(draft, "headers", CAIRN_SLICE_LIT("Retry-After"))));
        }
        add(draft, &response, CAIRN_SLICE_LIT("content"),
            media(draft, "application/problem+json", problem));
        add(draft, &responses, cairn_slice_str(info->slug), cairn_value_map(&response));
    }
    return cairn_value_map(&responses);
}

/* The parameter {view} with the names there are. */
static struct cairn_value make_view_parameter(struct draft *draft, const struct cairn_value *base)
{
    struct cairn_value_builder names = {.arena = draft->arena};
    for (size_t i = 0; i < cairn_domain_view_count(draft->domain); i++) {
        push(draft, &names, cairn_value_string(cairn_domain_view_at(draft->domain, i)->name));
    }
    struct cairn_value_builder schema = {.arena = draft->arena};
    add_text(draft, &schema, "type", CAIRN_SLICE_LIT("string"));
    if (names.count > 0) {
        add(draft, &schema, CAIRN_SLICE_LIT("enum"), cairn_value_array(&names));
    }
    struct cairn_value_builder parameter = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        struct cairn_slice key = cairn_value_slice(&base->as.members[i].key);
        add(draft, &parameter, key,
            cairn_slice_is(key, "schema") ? cairn_value_map(&schema) : base->as.members[i].value);
    }
    return cairn_value_map(&parameter);
}

static struct cairn_value make_parameters(struct draft *draft, const struct cairn_value *base)
{
    struct cairn_value_builder parameters = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        const struct cairn_member *member = &base->as.members[i];
        struct cairn_slice key = cairn_value_slice(&member->key);
        add(draft, &parameters, key,
            cairn_slice_is(key, "view") ? make_view_parameter(draft, &member->value)
                                        : member->value);
    }
    return cairn_value_map(&parameters);
}

/* ---- paths ---- */

static bool is_served(const struct draft *draft, struct cairn_slice role)
{
    if (cairn_slice_is(role, "command")) {
        return (draft->roles & CAIRN_OPENAPI_COMMAND) != 0;
    }
    if (cairn_slice_is(role, "query")) {
        return (draft->roles & CAIRN_OPENAPI_QUERY) != 0;
    }
    assert(cairn_slice_is(role, "any"));
    return true;
}

/* A path of the template without the marks of roles; empty when none of it is served. */
static struct cairn_value filter_path(struct draft *draft, const struct cairn_value *path)
{
    struct cairn_value_builder served = {.arena = draft->arena};
    for (uint32_t i = 0; i < path->count; i++) {
        const struct cairn_member *method = &path->as.members[i];
        if (!is_served(draft, cairn_value_get_string(&method->value, "x-role"))) {
            continue;
        }
        struct cairn_value_builder operation = {.arena = draft->arena};
        for (uint32_t j = 0; j < method->value.count; j++) {
            const struct cairn_member *member = &method->value.as.members[j];
            if (!cairn_slice_is(cairn_value_slice(&member->key), "x-role")) {
                add(draft, &operation, cairn_value_slice(&member->key), member->value);
            }
        }
        add(draft, &served, cairn_value_slice(&method->key), cairn_value_map(&operation));
    }
    return cairn_value_map(&served);
}

/* A body in either form. */
static struct cairn_value both_forms(struct draft *draft, struct cairn_value schema)
{
    struct cairn_value_builder content = {.arena = draft->arena};
    struct cairn_value one = single(draft, "schema", schema);
    add(draft, &content, CAIRN_SLICE_LIT("application/json"), one);
    add(draft, &content, CAIRN_SLICE_LIT("application/msgpack"), one);
    return cairn_value_map(&content);
}

static struct cairn_value make_success(struct draft *draft, const char *description)
{
    static const char *const headers[] = {"ETag", "Cairn-Position", "Idempotency-Replayed",
                                          "Location"};
    struct cairn_value_builder fields = {.arena = draft->arena};
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        add(draft, &fields, cairn_slice_str(headers[i]),
            reference(draft, "headers", cairn_slice_str(headers[i])));
    }
    struct cairn_value_builder response = {.arena = draft->arena};
    add_text(draft, &response, "description", cairn_slice_str(description));
    add(draft, &response, CAIRN_SLICE_LIT("headers"), cairn_value_map(&fields));
    add(draft, &response, CAIRN_SLICE_LIT("content"),
        both_forms(draft, reference(draft, "schemas", CAIRN_SLICE_LIT("Answer"))));
    return cairn_value_map(&response);
}

static struct cairn_value make_answers(struct draft *draft)
{
    static const struct {
        const char *status;
        const char *slug;
    } problems[] = {
        {"400", "malformed"},      {"404", "unknown-aggregate"},
        {"409", "rejected"},       {"412", "version-conflict"},
        {"413", "too-large"},      {"415", "unsupported-media-type"},
        {"422", "invalid"},        {"429", "rate-limited"},
        {"500", "decider-failed"}, {"503", "overloaded"},
    };
    struct cairn_value_builder answers = {.arena = draft->arena};
    add(draft, &answers, CAIRN_SLICE_LIT("200"), make_success(draft, "Accepted and durable."));
    add(draft, &answers, CAIRN_SLICE_LIT("201"),
        make_success(draft, "Accepted and durable; the stream began with it."));
    for (size_t i = 0; i < sizeof(problems) / sizeof(problems[0]); i++) {
        add(draft, &answers, cairn_slice_str(problems[i].status),
            reference(draft, "responses", cairn_slice_str(problems[i].slug)));
    }
    return cairn_value_map(&answers);
}

static struct cairn_value make_command(struct draft *draft,
                                       const struct cairn_domain_command *command,
                                       struct cairn_value answers)
{
    static const char *const names[] = {"id", "Idempotency-Key", "If-Match", "If-None-Match-any"};
    struct cairn_value_builder parameters = {.arena = draft->arena};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        push(draft, &parameters, reference(draft, "parameters", cairn_slice_str(names[i])));
    }
    struct cairn_value_builder tags = {.arena = draft->arena};
    push(draft, &tags, cairn_value_string(CAIRN_SLICE_LIT("commands")));
    struct cairn_value_builder body = {.arena = draft->arena};
    struct cairn_value schema =
        reference(draft, "schemas", print_name(draft, "commands", command->name));
    add(draft, &body, CAIRN_SLICE_LIT("required"), cairn_value_bool(true));
    add(draft, &body, CAIRN_SLICE_LIT("content"), both_forms(draft, schema));

    char *id = cairn_arena_printf(draft->arena, "%.*s.%.*s", CAIRN_SLICE_ARG(command->aggregate),
                                  CAIRN_SLICE_ARG(command->name));
    if (id == NULL) {
        fail_memory(draft);
    }
    struct cairn_value_builder operation = {.arena = draft->arena};
    add(draft, &operation, CAIRN_SLICE_LIT("tags"), cairn_value_array(&tags));
    add_text(draft, &operation, "operationId", cairn_slice_str(id));
    add_text(draft, &operation, "summary", command->name);
    add_text(draft, &operation, "x-aggregate", command->aggregate);
    add_text(draft, &operation, "x-command", command->name);
    add(draft, &operation, CAIRN_SLICE_LIT("parameters"), cairn_value_array(&parameters));
    add(draft, &operation, CAIRN_SLICE_LIT("requestBody"), cairn_value_map(&body));
    add(draft, &operation, CAIRN_SLICE_LIT("responses"), answers);
    return single(draft, "post", cairn_value_map(&operation));
}

/* ---- named queries ---- */

/* The JSON Schema of each type of parameter: what stands in `type` and `format`. */
static const struct {
    const char *type;
    const char *format;
} param_schemas[] = {
    [CAIRN_SQL_INTEGER] = {"integer", "int64"}, [CAIRN_SQL_NUMBER_TYPE] = {"number", NULL},
    [CAIRN_SQL_TEXT] = {"string", NULL},        [CAIRN_SQL_BOOLEAN] = {"boolean", NULL},
    [CAIRN_SQL_DATE] = {"string", "date"},      [CAIRN_SQL_TIMESTAMP] = {"string", "date-time"},
    [CAIRN_SQL_UUID] = {"string", "uuid"},      [CAIRN_SQL_JSON] = {"string", "json"},
};

static struct cairn_value make_param_schema(struct draft *draft,
                                            const struct cairn_sql_param *param)
{
    struct cairn_value_builder schema = {.arena = draft->arena};
    const char *type = param_schemas[param->type].type;
    const char *format = param_schemas[param->type].format;
    add_text(draft, &schema, "type", cairn_slice_str(type));
    if (format != NULL) {
        add_text(draft, &schema, "format", cairn_slice_str(format));
    }
    if (!param->required && param->fallback.data != NULL) {
        bool quoted = strcmp(type, "string") == 0;
        add(draft, &schema, CAIRN_SLICE_LIT("default"),
            quoted ? cairn_value_string(param->fallback)
                   : read_json(draft, param->fallback, "a parameter's default"));
    }
    return cairn_value_map(&schema);
}

static struct cairn_value make_param(struct draft *draft, struct cairn_slice name, bool required,
                                     struct cairn_value schema)
{
    struct cairn_value_builder param = {.arena = draft->arena};
    add_text(draft, &param, "name", name);
    add_text(draft, &param, "in", CAIRN_SLICE_LIT("query"));
    add(draft, &param, CAIRN_SLICE_LIT("required"), cairn_value_bool(required));
    add(draft, &param, CAIRN_SLICE_LIT("schema"), schema);
    return cairn_value_map(&param);
}

static struct cairn_value make_limit(struct draft *draft, const struct cairn_sql_query *query)
{
    struct cairn_value_builder schema = {.arena = draft->arena};
    add_text(draft, &schema, "type", CAIRN_SLICE_LIT("integer"));
    add(draft, &schema, CAIRN_SLICE_LIT("minimum"), cairn_value_int(1));
    add(draft, &schema, CAIRN_SLICE_LIT("maximum"), cairn_value_int(query->limit));
    add(draft, &schema, CAIRN_SLICE_LIT("default"), cairn_value_int(query->limit));
    return make_param(draft, CAIRN_SLICE_LIT("limit"), false, cairn_value_map(&schema));
}

static struct cairn_value make_query_params(struct draft *draft,
                                            const struct cairn_sql_query *query)
{
    struct cairn_value_builder params = {.arena = draft->arena};
    for (size_t i = 0; i < query->param_count; i++) {
        const struct cairn_sql_param *param = &query->params[i];
        push(draft, &params,
             make_param(draft, param->name, param->required, make_param_schema(draft, param)));
    }
    push(draft, &params, make_limit(draft, query));
    if (query->order_count > 0) {
        push(draft, &params, reference(draft, "parameters", CAIRN_SLICE_LIT("cursor")));
    }
    push(draft, &params, reference(draft, "parameters", CAIRN_SLICE_LIT("Cairn-Position")));
    push(draft, &params, reference(draft, "parameters", CAIRN_SLICE_LIT("Prefer")));
    return cairn_value_array(&params);
}

/* The template's operation with what the query says of itself. */
static struct cairn_value make_query(struct draft *draft, const struct cairn_value *get,
                                     const struct cairn_sql_query *query)
{
    struct cairn_value_builder operation = {.arena = draft->arena};
    for (uint32_t i = 0; i < get->count; i++) {
        const struct cairn_member *member = &get->as.members[i];
        struct cairn_slice key = cairn_value_slice(&member->key);
        struct cairn_value value = member->value;
        if (cairn_slice_is(key, "summary") && query->summary.size > 0) {
            value = cairn_value_string(query->summary);
        } else if (cairn_slice_is(key, "parameters")) {
            value = make_query_params(draft, query);
        }
        add(draft, &operation, key, value);
    }
    return single(draft, "get", cairn_value_map(&operation));
}

/* One path for each query; path: the template's, without the marks of roles. */
static void add_queries(struct draft *draft, struct cairn_value_builder *paths,
                        const struct cairn_value *path)
{
    const struct cairn_value *get = cairn_value_at(path, "get");
    assert(get != NULL);
    for (size_t i = 0; i < cairn_domain_query_count(draft->domain); i++) {
        const struct cairn_domain_query *query = cairn_domain_query_at(draft->domain, i);
        char *name =
            cairn_arena_printf(draft->arena, "/queries/%.*s", CAIRN_SLICE_ARG(query->name));
        if (name == NULL) {
            fail_memory(draft);
            return;
        }
        add(draft, paths, cairn_slice_str(name), make_query(draft, get, query->sql));
    }
}

static struct cairn_value make_paths(struct draft *draft, const struct cairn_value *base)
{
    const struct cairn_domain *domain = draft->domain;
    struct cairn_value_builder paths = {.arena = draft->arena};
    struct cairn_value answers = make_answers(draft);
    size_t commands =
        (draft->roles & CAIRN_OPENAPI_COMMAND) != 0 ? cairn_domain_command_count(domain) : 0;
    for (size_t i = 0; i < commands; i++) {
        const struct cairn_domain_command *command = cairn_domain_command_at(domain, i);
        char *path =
            cairn_arena_printf(draft->arena, "/commands/%.*s/{id}/%.*s",
                               CAIRN_SLICE_ARG(command->aggregate), CAIRN_SLICE_ARG(command->name));
        if (path == NULL) {
            fail_memory(draft);
            break;
        }
        add(draft, &paths, cairn_slice_str(path), make_command(draft, command, answers));
    }
    for (uint32_t i = 0; i < base->count; i++) {
        struct cairn_value path = filter_path(draft, &base->as.members[i].value);
        struct cairn_slice key = cairn_value_slice(&base->as.members[i].key);
        if (path.count > 0 && cairn_slice_is(key, "/queries/{name}")) {
            add_queries(draft, &paths, &path);
        } else if (path.count > 0) {
            add(draft, &paths, key, path);
        }
    }
    return cairn_value_map(&paths);
}

/* ---- the document ---- */

static struct cairn_value make_info(struct draft *draft, const struct cairn_value *base)
{
    struct cairn_value_builder info = {.arena = draft->arena};
    add_text(draft, &info, "title", cairn_domain_title(draft->domain));
    add_text(draft, &info, "version", CAIRN_SLICE_LIT(CAIRN_VERSION));
    add_text(draft, &info, "description", cairn_value_get_string(base, "description"));
    add_text(draft, &info, "x-domain", cairn_domain_name(draft->domain));
    return cairn_value_map(&info);
}

static struct cairn_value make_components(struct draft *draft, const struct cairn_value *base)
{
    static const struct {
        const char *name;
        struct cairn_value (*make)(struct draft *draft, const struct cairn_value *base);
    } kinds[] = {
        {"schemas", make_schemas}, {"responses", make_responses}, {"parameters", make_parameters}};
    struct cairn_value_builder components = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        const struct cairn_member *member = &base->as.members[i];
        struct cairn_value value = member->value;
        for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            if (cairn_slice_is(cairn_value_slice(&member->key), kinds[k].name)) {
                value = kinds[k].make(draft, &member->value);
            }
        }
        add(draft, &components, cairn_value_slice(&member->key), value);
    }
    return cairn_value_map(&components);
}

static struct cairn_value make_document(struct draft *draft, const struct cairn_value *base)
{
    struct cairn_value_builder document = {.arena = draft->arena};
    for (uint32_t i = 0; i < base->count; i++) {
        struct cairn_slice key = cairn_value_slice(&base->as.members[i].key);
        const struct cairn_value *value = &base->as.members[i].value;
        add(draft, &document, key,
            cairn_slice_is(key, "info")         ? make_info(draft, value)
            : cairn_slice_is(key, "paths")      ? make_paths(draft, value)
            : cairn_slice_is(key, "components") ? make_components(draft, value)
                                                : *value);
    }
    return cairn_value_map(&document);
}

enum cairn_rc cairn_openapi_write(const struct cairn_domain *domain, unsigned roles,
                                  struct cairn_buf *out, struct cairn_err *err)
{
    assert(domain != NULL && out != NULL);
    assert((roles & ~(unsigned)(CAIRN_OPENAPI_COMMAND | CAIRN_OPENAPI_QUERY)) == 0);
    struct cairn_arena arena = {.max = CAIRN_OPENAPI_BYTES_MAX};
    struct draft draft = {.domain = domain, .roles = roles, .arena = &arena, .err = err};
    struct cairn_slice text =
        cairn_slice_of((const char *)cairn_openapi_json, cairn_openapi_json_size);
    struct cairn_value base = read_json(&draft, text, "openapi.json");
    struct cairn_value document = make_document(&draft, &base);
    if (draft.rc == CAIRN_OK) {
        enum cairn_rc rc = cairn_json_write(&document, out);
        draft.rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(err, rc, "writing the OpenAPI document");
    }
    cairn_arena_fini(&arena);
    return draft.rc;
}

struct cairn_slice cairn_openapi_page(void)
{
    return cairn_slice_of((const char *)cairn_docs_html, cairn_docs_html_size);
}
