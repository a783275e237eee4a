/* The folder schemas/: every document goes into one registry, under a URI that mirrors its path, so
 * that "$ref": "../types/money.json" works between them. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/json.h"
#include "schemas/domain_int.h"

#define URI_PREFIX "cairn:///"

enum { SUBFOLDERS_MAX = 64, URI_MAX = 512, VERSION_MAX = 1000 };

/* One document of schemas/. */
struct document {
    struct cairn_slice text; /* data NULL: unreadable, and a fault already */
    char path[URI_MAX];      /* "schemas/events/Deposited.v1.json" */
    char uri[URI_MAX];
};

static enum cairn_rc check_json(struct cairn_domain_load *load, struct document *document)
{
    struct cairn_arena scratch = {.max = CAIRN_DOMAIN_BYTES_MAX};
    struct cairn_value value;
    struct cairn_err why;
    size_t offset = 0;
    enum cairn_rc rc = cairn_json_read(document->text, &scratch, &value, &offset, &why);
    if (rc == CAIRN_EMALFORMED) {
        rc = cairn_domain_fault(load, rc, "%s:%zu: %s", document->path,
                                cairn_domain_line(document->text, offset), why.text);
        document->text = CAIRN_SLICE_NONE;
    } else if (rc != CAIRN_OK) {
        rc = CAIRN_FAIL(load->err, rc, "%s", document->path);
    }
    cairn_arena_fini(&scratch);
    return rc;
}

/* Read a document and register it. Its text is none when it has a fault. */
static enum cairn_rc add_document(struct cairn_domain_load *load, const char *folder,
                                  const char *name, struct document *document)
{
    struct cairn_err why;
    int path = snprintf(document->path, URI_MAX, "schemas/%s/%s", folder, name);
    int uri = snprintf(document->uri, URI_MAX, URI_PREFIX "%s/%s", folder, name);
    document->text = CAIRN_SLICE_NONE;
    if (path < 0 || path >= URI_MAX || uri < 0 || uri >= URI_MAX) {
        return cairn_domain_fault(load, CAIRN_ETOOBIG, "schemas/%.40s: the path is too long",
                                  folder);
    }
    enum cairn_rc rc = cairn_domain_read(load, document->path, &document->text);
    if (rc == CAIRN_OK && document->text.data != NULL) {
        rc = check_json(load, document);
    }
    if (rc != CAIRN_OK || document->text.data == NULL) {
        return rc;
    }
    rc = cairn_schema_add(load->domain->registry, document->uri, document->text, &why);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "%s", document->path);
    }
    if (rc != CAIRN_OK) {
        document->text = CAIRN_SLICE_NONE;
        return cairn_domain_fault(load, rc, "%s: %s", document->path, why.text);
    }
    return CAIRN_OK;
}

/* ret_schema stays NULL when the schema has a fault. */
static enum cairn_rc compile(struct cairn_domain_load *load, const struct document *document,
                             const struct cairn_schema **ret_schema)
{
    struct cairn_err why;
    *ret_schema = NULL;
    if (document->text.data == NULL) {
        return CAIRN_OK;
    }
    enum cairn_rc rc =
        cairn_schema_compile(load->domain->registry, document->uri, ret_schema, &why);
    if (rc == CAIRN_ENOMEM) {
        return CAIRN_FAIL(load->err, rc, "%s", document->path);
    }
    return rc == CAIRN_OK ? CAIRN_OK
                          : cairn_domain_fault(load, rc, "%s: %s", document->path, why.text);
}

/* The name before ".json"; false, and a fault, when it is no name of a command or event. */
static enum cairn_rc take_stem(struct cairn_domain_load *load, const char *path, const char *name,
                               size_t size, struct cairn_slice *ret_stem)
{
    *ret_stem = CAIRN_SLICE_NONE;
    if (!cairn_type_is_valid(cairn_slice_of(name, size))) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s: the file's name must be letters, digits and '_', and begin "
                                  "with a letter",
                                  path);
    }
    enum cairn_rc rc = cairn_arena_copy(&load->domain->arena, cairn_slice_of(name, size), ret_stem);
    return rc == CAIRN_OK ? rc : CAIRN_FAIL(load->err, rc, "%s", path);
}

/* ---- commands ---- */

/* Commands are listed without an aggregate until the scripts say who decides them. */
static enum cairn_rc take_command(struct cairn_domain_load *load, const char *name,
                                  const struct document *document)
{
    struct cairn_domain *domain = load->domain;
    struct cairn_domain_command command = {.schema_text = document->text};
    size_t size = strlen(name) - strlen(".json");
    enum cairn_rc rc = take_stem(load, document->path, name, size, &command.name);
    if (rc != CAIRN_OK || command.name.data == NULL) {
        return rc;
    }
    rc = compile(load, document, &command.schema);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_domain_command *place =
        cairn_domain_grow(domain, &domain->commands, domain->command_count, sizeof(*place));
    if (place == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "%s", document->path);
    }
    *place = command;
    domain->command_count++;
    return CAIRN_OK;
}

/* ---- events ---- */

/* "Deposited.json" -> 0, "Deposited.v2.json" -> 2; *ret_size is that of "Deposited". -1: neither.
 */
static int split_version(const char *name, size_t *ret_size)
{
    size_t size = strlen(name) - strlen(".json");
    size_t dot = cairn_slice_find(cairn_slice_of(name, size), '.');
    uint64_t version;
    *ret_size = dot;
    if (dot == size) {
        return 0;
    }
    if (dot + 2 >= size || name[dot + 1] != 'v' || name[dot + 2] == '0' ||
        cairn_slice_to_u64(cairn_slice_of(name + dot + 2, size - dot - 2), &version) != CAIRN_OK ||
        version > VERSION_MAX) {
        return -1;
    }
    return (int)version;
}

/* Events arrive sorted by file name: Deposited.json, Deposited.v1.json, Deposited.v2.json. */
static enum cairn_rc take_event(struct cairn_domain_load *load, const char *name,
                                const struct document *document)
{
    struct cairn_domain *domain = load->domain;
    const struct cairn_schema *schema;
    struct cairn_slice type;
    size_t size;
    int version = split_version(name, &size);
    if (version < 0) {
        return cairn_domain_fault(load, CAIRN_EINVAL,
                                  "%s: neither TYPE.json nor TYPE.vN.json (N from 1)",
                                  document->path);
    }
    enum cairn_rc rc = take_stem(load, document->path, name, size, &type);
    if (rc != CAIRN_OK || type.data == NULL) {
        return rc;
    }
    rc = compile(load, document, &schema);
    if (rc != CAIRN_OK) {
        return rc;
    }
    struct cairn_domain_event *event = NULL;
    for (size_t i = 0; i < domain->event_count; i++) {
        if (cairn_slice_equal(domain->events[i].type, type)) {
            event = &domain->events[i];
        }
    }
    if (event == NULL) {
        event = cairn_domain_grow(domain, &domain->events, domain->event_count, sizeof(*event));
        if (event == NULL) {
            return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "%s", document->path);
        }
        event->type = type;
        domain->event_count++;
    }
    if (version == 0) {
        event->schema = schema;
        event->schema_text = document->text;
    } else {
        event->schema_version++; /* how many older ones there are, until all are read */
    }
    return CAIRN_OK;
}

/* Every event has a current schema, and its older ones are v1..vN without a gap. */
static enum cairn_rc check_versions(struct cairn_domain_load *load,
                                    struct cairn_domain_event *event)
{
    char path[CAIRN_PATH_MAX];
    char name[URI_MAX];
    enum cairn_rc rc = CAIRN_OK;
    if (event->schema_text.data == NULL && event->schema_version > 0) {
        rc = cairn_domain_fault(load, CAIRN_ENOENT,
                                "schemas/events/%.*s.json: missing or unreadable, though there are "
                                "older versions of it",
                                CAIRN_SLICE_ARG(event->type));
    }
    for (int version = 1; version <= event->schema_version && rc == CAIRN_OK; version++) {
        (void)snprintf(name, sizeof(name), "schemas/events/%.*s.v%d.json",
                       CAIRN_SLICE_ARG(event->type), version);
        if (cairn_file_join(path, load->domain->folder, name) == CAIRN_OK &&
            !cairn_file_exists(path)) {
            rc = cairn_domain_fault(load, CAIRN_ENOENT,
                                    "%s: missing: older versions count from 1 without a gap", name);
        }
    }
    event->schema_version++;
    return rc;
}

static int order_types(const void *a, const void *b)
{
    const struct cairn_domain_event *left = a;
    const struct cairn_domain_event *right = b;
    return cairn_slice_compare(left->type, right->type);
}

static enum cairn_rc finish_events(struct cairn_domain_load *load)
{
    struct cairn_domain *domain = load->domain;
    if (domain->event_count == 0) {
        return cairn_domain_fault(load, CAIRN_ENOENT, "schemas/events: has no schemas");
    }
    qsort(domain->events, domain->event_count, sizeof(*domain->events), order_types);
    for (size_t i = 0; i < domain->event_count; i++) {
        enum cairn_rc rc = check_versions(load, &domain->events[i]);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* ---- the folder ---- */

/* What is done with the documents of a subfolder once all are registered. */
static const struct {
    const char *folder;
    enum cairn_rc (*take)(struct cairn_domain_load *load, const char *name,
                          const struct document *document);
} takers[] = {{"commands", take_command}, {"events", take_event}};

static enum cairn_rc take_document(struct cairn_domain_load *load, const char *folder,
                                   const char *name, const struct document *document)
{
    for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
        if (strcmp(takers[i].folder, folder) == 0) {
            return takers[i].take(load, name, document);
        }
    }
    return CAIRN_OK; /* shared definitions: compiled where something refers to them */
}

/* A subfolder of schemas/ and its documents. */
struct shelf {
    const char *folder;
    const char **names;
    struct document *documents;
    size_t count;
};

static enum cairn_rc add_shelf(struct cairn_domain_load *load, const char *folder,
                               struct shelf *shelf)
{
    char path[URI_MAX];
    (void)snprintf(path, sizeof(path), "schemas/%s", folder);
    shelf->folder = folder;
    enum cairn_rc rc = cairn_domain_list(load, path, ".json", &shelf->names, &shelf->count);
    if (rc != CAIRN_OK || shelf->count == 0) {
        return rc;
    }
    shelf->documents =
        cairn_arena_zalloc(&load->domain->arena, shelf->count, sizeof(*shelf->documents));
    if (shelf->documents == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "%s", path);
    }
    for (size_t i = 0; i < shelf->count && rc == CAIRN_OK; i++) {
        rc = add_document(load, folder, shelf->names[i], &shelf->documents[i]);
    }
    return rc;
}

static enum cairn_rc hash_events(struct cairn_domain_load *load, const struct shelf *shelf)
{
    struct cairn_slice *parts =
        cairn_arena_zalloc(&load->domain->arena, 2 * shelf->count, sizeof(*parts));
    if (parts == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "schemas");
    }
    for (size_t i = 0; i < shelf->count; i++) {
        parts[2 * i] = cairn_slice_str(shelf->names[i]);
        parts[2 * i + 1] = shelf->documents[i].text;
    }
    return cairn_domain_hash(parts, 2 * shelf->count, load->domain->schemas_hash, load->err);
}

static enum cairn_rc take_shelf(struct cairn_domain_load *load, const struct shelf *shelf)
{
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < shelf->count && rc == CAIRN_OK; i++) {
        rc = take_document(load, shelf->folder, shelf->names[i], &shelf->documents[i]);
    }
    if (rc == CAIRN_OK && strcmp(shelf->folder, "events") == 0) {
        rc = hash_events(load, shelf);
    }
    return rc;
}

/* Subfolders of schemas/, sorted. */
static enum cairn_rc list_shelves(struct cairn_domain_load *load, const char ***ret_names,
                                  size_t *ret_count)
{
    char path[CAIRN_PATH_MAX];
    *ret_count = 0;
    if (cairn_file_join(path, load->domain->folder, "schemas") != CAIRN_OK ||
        !cairn_file_is_folder(path)) {
        return cairn_domain_fault(load, CAIRN_ENOENT, "schemas: no such folder");
    }
    enum cairn_rc rc = cairn_file_list(path, &load->domain->arena, ret_names, ret_count, load->err);
    if (rc == CAIRN_OK && *ret_count > SUBFOLDERS_MAX) {
        *ret_count = 0;
        return cairn_domain_fault(load, CAIRN_ETOOBIG, "schemas: more than %d folders",
                                  SUBFOLDERS_MAX);
    }
    return rc;
}

enum cairn_rc cairn_domain_load_schemas(struct cairn_domain_load *load)
{
    const struct cairn_schema_options options = {.assert_format = true};
    struct shelf shelves[SUBFOLDERS_MAX] = {0};
    const char **names;
    size_t count;
    enum cairn_rc rc = list_shelves(load, &names, &count);
    if (rc == CAIRN_OK) {
        rc = cairn_schema_registry_new(&options, &load->domain->registry, load->err);
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = add_shelf(load, names[i], &shelves[i]);
    }
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = take_shelf(load, &shelves[i]);
    }
    return rc == CAIRN_OK ? finish_events(load) : rc;
}
