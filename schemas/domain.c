#include "schemas/domain.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "platform/hash.h"
#include "platform/mem.h"
#include "schemas/domain_int.h"

/* ---- helpers of the loading ---- */

enum cairn_rc cairn_domain_fault(struct cairn_domain_load *load, enum cairn_rc rc,
                                 const char *format, ...)
{
    char text[1024];
    assert(rc != CAIRN_OK);
    va_list args;
    va_start(args, format);
    int printed = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(printed >= 0);
    size_t size = (size_t)printed < sizeof(text) ? (size_t)printed : sizeof(text) - 1;
    if (load->fault_count == 0) {
        load->first = rc;
    }
    if (load->fault_count < CAIRN_DOMAIN_FAULTS_MAX) {
        struct cairn_slice *place = &load->faults[load->fault_count];
        if (cairn_arena_copy(load->fault_arena, cairn_slice_of(text, size), place) != CAIRN_OK) {
            return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "the domain's faults");
        }
    }
    load->fault_count++;
    return CAIRN_OK;
}

void *cairn_domain_grow(struct cairn_domain *domain, void *items, size_t count, size_t size)
{
    enum { FIRST = 8 };
    void *old;
    memcpy(&old, items, sizeof(old));
    bool full = count == 0 || (count >= FIRST && (count & (count - 1)) == 0);
    if (full) {
        void *moved = cairn_arena_zalloc(&domain->arena, count == 0 ? FIRST : 2 * count, size);
        if (moved == NULL) {
            return NULL;
        }
        if (count > 0) {
            memcpy(moved, old, count * size);
        }
        memcpy(items, &moved, sizeof(moved));
        old = moved;
    }
    return (char *)old + count * size;
}

enum cairn_rc cairn_domain_read(struct cairn_domain_load *load, const char *name,
                                struct cairn_slice *ret_text)
{
    char path[CAIRN_PATH_MAX];
    struct cairn_err why;
    struct cairn_buf content = {.max = CAIRN_DOMAIN_FILE_BYTES_MAX};
    *ret_text = CAIRN_SLICE_NONE;
    if (cairn_file_join(path, load->folder, name) != CAIRN_OK) {
        return cairn_domain_fault(load, CAIRN_ETOOBIG, "%s: the path is too long", name);
    }
    enum cairn_rc rc = cairn_file_read(path, &content, &why);
    if (rc == CAIRN_OK) {
        rc = cairn_arena_copy(load->arena, cairn_buf_slice(&content), ret_text);
        rc = rc == CAIRN_OK ? rc : CAIRN_FAIL(load->err, rc, "%s", name);
    } else if (rc == CAIRN_ENOMEM) {
        rc = CAIRN_FAIL(load->err, rc, "%s", name);
    } else if (rc == CAIRN_ETOOBIG) {
        rc = cairn_domain_fault(load, rc, "%s: longer than %u bytes", name,
                                CAIRN_DOMAIN_FILE_BYTES_MAX);
    } else {
        rc = cairn_domain_fault(load, rc, "%s: %s", name, why.text);
    }
    cairn_buf_fini(&content);
    return rc;
}

static bool ends_with(const char *name, const char *ending)
{
    size_t size = strlen(name);
    size_t tail = strlen(ending);
    return size > tail && name[0] != '.' && strcmp(name + size - tail, ending) == 0;
}

enum cairn_rc cairn_domain_list(struct cairn_domain_load *load, const char *folder,
                                const char *ending, const char ***ret_names, size_t *ret_count)
{
    char path[CAIRN_PATH_MAX];
    const char **names = NULL;
    size_t count = 0;
    *ret_names = NULL;
    *ret_count = 0;
    if (cairn_file_join(path, load->folder, folder) != CAIRN_OK) {
        return cairn_domain_fault(load, CAIRN_ETOOBIG, "%s: the path is too long", folder);
    }
    if (!cairn_file_is_folder(path)) {
        return CAIRN_OK;
    }
    enum cairn_rc rc = cairn_file_list(path, load->arena, &names, &count, load->err);
    if (rc != CAIRN_OK) {
        return rc;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (ends_with(names[i], ending)) {
            names[kept++] = names[i];
        }
    }
    *ret_names = names;
    *ret_count = kept;
    return CAIRN_OK;
}

size_t cairn_domain_line(struct cairn_slice text, size_t offset)
{
    size_t line = 1;
    for (size_t i = 0; i < offset && i < text.size; i++) {
        line += text.data[i] == '\n';
    }
    return line;
}

enum cairn_rc cairn_domain_hash(const struct cairn_slice *parts, size_t count,
                                unsigned char ret_hash[16], struct cairn_err *err)
{
    struct cairn_buf whole = {.max = CAIRN_DOMAIN_BYTES_MAX};
    enum cairn_rc rc = CAIRN_OK;
    for (size_t i = 0; i < count && rc == CAIRN_OK; i++) {
        rc = cairn_buf_printf(&whole, "%zu:", parts[i].size);
        if (rc == CAIRN_OK) {
            rc = cairn_buf_append(&whole, parts[i]);
        }
    }
    if (rc == CAIRN_OK) {
        cairn_hash128(cairn_buf_slice(&whole), ret_hash);
    } else {
        rc = CAIRN_FAIL(err, rc, "the hash of a domain's code");
    }
    cairn_buf_fini(&whole);
    return rc;
}

/* ---- loading ---- */

static enum cairn_rc load_all(struct cairn_domain_load *load, const char *folder)
{
    static enum cairn_rc (*const steps[])(struct cairn_domain_load *) = {
        cairn_domain_load_config,
        cairn_domain_load_schemas,
        cairn_domain_load_aggregates,
        cairn_domain_load_views,
    };
    struct cairn_domain *domain = load->domain;
    domain->arena.max = CAIRN_DOMAIN_BYTES_MAX;
    if (!cairn_file_is_folder(folder)) {
        return CAIRN_FAIL(load->err, CAIRN_ENOENT, "%s: no such folder", folder);
    }
    domain->folder = cairn_arena_printf(&domain->arena, "%s", folder);
    if (domain->folder == NULL) {
        return CAIRN_FAIL(load->err, CAIRN_ENOMEM, "a domain");
    }
    load->folder = domain->folder;
    load->arena = &domain->arena;
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        enum cairn_rc rc = steps[i](load);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    return CAIRN_OK;
}

/* ret_load and its domain are the caller's to free, whatever the result. */
static enum cairn_rc load_new(const char *folder, struct cairn_arena *fault_arena,
                              struct cairn_domain_load **ret_load, struct cairn_err *err)
{
    struct cairn_domain_load *load = cairn_mem_zalloc(1, sizeof(*load));
    struct cairn_domain *domain = cairn_mem_zalloc(1, sizeof(*domain));
    if (load == NULL || domain == NULL) {
        cairn_mem_free(load);
        cairn_mem_free(domain);
        return CAIRN_FAIL(err, CAIRN_ENOMEM, "a domain");
    }
    load->domain = domain;
    load->fault_arena = fault_arena;
    load->err = err;
    *ret_load = load;
    return load_all(load, folder);
}

enum cairn_rc cairn_domain_load(const char *folder, struct cairn_domain **ret_domain,
                                struct cairn_err *err)
{
    struct cairn_err own = {.rc = CAIRN_OK};
    struct cairn_arena faults = {.max = CAIRN_DOMAIN_FILE_BYTES_MAX};
    struct cairn_domain_load *load = NULL;
    err = err == NULL ? &own : err;
    enum cairn_rc rc = load_new(folder, &faults, &load, err);
    if (rc == CAIRN_OK && load->fault_count > 1) {
        rc = CAIRN_FAIL(err, load->first, "%.*s (and %zu more)", CAIRN_SLICE_ARG(load->faults[0]),
                        load->fault_count - 1);
    } else if (rc == CAIRN_OK && load->fault_count == 1) {
        rc = CAIRN_FAIL(err, load->first, "%.*s", CAIRN_SLICE_ARG(load->faults[0]));
    }
    if (rc == CAIRN_OK) {
        *ret_domain = load->domain;
    } else if (load != NULL) {
        cairn_domain_free(load->domain);
    }
    cairn_mem_free(load);
    cairn_arena_fini(&faults);
    return rc;
}

enum cairn_rc cairn_domain_lint(const char *folder, struct cairn_arena *arena,
                                struct cairn_slice **ret_faults, size_t *ret_count,
                                struct cairn_err *err)
{
    struct cairn_err own = {.rc = CAIRN_OK};
    struct cairn_domain_load *load = NULL;
    err = err == NULL ? &own : err;
    enum cairn_rc rc = load_new(folder, arena, &load, err);
    if (rc == CAIRN_OK) {
        size_t count = load->fault_count < CAIRN_DOMAIN_FAULTS_MAX ? load->fault_count
                                                                   : CAIRN_DOMAIN_FAULTS_MAX;
        struct cairn_slice *faults = cairn_arena_zalloc(arena, count, sizeof(*faults));
        if (faults == NULL) {
            rc = CAIRN_FAIL(err, CAIRN_ENOMEM, "the domain's faults");
        } else {
            memcpy(faults, load->faults, count * sizeof(*faults));
            *ret_faults = faults;
            *ret_count = count;
        }
    }
    if (load != NULL) {
        cairn_domain_free(load->domain);
    }
    cairn_mem_free(load);
    return rc;
}

void cairn_domain_free(struct cairn_domain *domain)
{
    if (domain == NULL) {
        return;
    }
    cairn_schema_registry_free(domain->registry);
    cairn_arena_fini(&domain->arena);
    cairn_mem_free(domain);
}

/* ---- the catalogue ---- */

struct cairn_slice cairn_domain_name(const struct cairn_domain *domain)
{
    return domain->name;
}

struct cairn_slice cairn_domain_title(const struct cairn_domain *domain)
{
    return domain->title;
}

struct cairn_domain_topics cairn_domain_topics(const struct cairn_domain *domain)
{
    return domain->topics;
}

const char *cairn_domain_folder(const struct cairn_domain *domain)
{
    return domain->folder;
}

/* count and at for each list of the catalogue. */
#define LIST(noun, field)                                                                          \
    size_t cairn_domain_##noun##_count(const struct cairn_domain *domain)                          \
    {                                                                                              \
        return domain->noun##_count;                                                               \
    }                                                                                              \
    const struct cairn_domain_##noun *cairn_domain_##noun##_at(const struct cairn_domain *domain,  \
                                                               size_t index)                       \
    {                                                                                              \
        assert(index < domain->noun##_count);                                                      \
        return &domain->field[index];                                                              \
    }
LIST(aggregate, aggregates)
LIST(command, commands)
LIST(event, events)
LIST(view, views)
LIST(query, queries)
#undef LIST

static int order_aggregate(const void *key, const void *item)
{
    const struct cairn_domain_aggregate *aggregate = item;
    return cairn_slice_compare(*(const struct cairn_slice *)key, aggregate->name);
}

const struct cairn_domain_aggregate *cairn_domain_aggregate(const struct cairn_domain *domain,
                                                            struct cairn_slice name)
{
    return domain->aggregate_count == 0
               ? NULL
               : bsearch(&name, domain->aggregates, domain->aggregate_count,
                         sizeof(*domain->aggregates), order_aggregate);
}

static int order_event(const void *key, const void *item)
{
    const struct cairn_domain_event *event = item;
    return cairn_slice_compare(*(const struct cairn_slice *)key, event->type);
}

const struct cairn_domain_event *cairn_domain_event(const struct cairn_domain *domain,
                                                    struct cairn_slice type)
{
    return domain->event_count == 0 ? NULL
                                    : bsearch(&type, domain->events, domain->event_count,
                                              sizeof(*domain->events), order_event);
}

static int order_view(const void *key, const void *item)
{
    const struct cairn_domain_view *view = item;
    return cairn_slice_compare(*(const struct cairn_slice *)key, view->name);
}

const struct cairn_domain_view *cairn_domain_view(const struct cairn_domain *domain,
                                                  struct cairn_slice name)
{
    return domain->view_count == 0 ? NULL
                                   : bsearch(&name, domain->views, domain->view_count,
                                             sizeof(*domain->views), order_view);
}

static int order_command(const void *key, const void *item)
{
    const struct cairn_domain_command *wanted = key;
    const struct cairn_domain_command *command = item;
    int order = cairn_slice_compare(wanted->aggregate, command->aggregate);
    return order != 0 ? order : cairn_slice_compare(wanted->name, command->name);
}

const struct cairn_domain_command *cairn_domain_command(const struct cairn_domain *domain,
                                                        struct cairn_slice aggregate,
                                                        struct cairn_slice name)
{
    struct cairn_domain_command wanted = {.name = name, .aggregate = aggregate};
    return domain->command_count == 0 ? NULL
                                      : bsearch(&wanted, domain->commands, domain->command_count,
                                                sizeof(*domain->commands), order_command);
}
