/* Loops over libpq as a person would write them for one view, as baselines for views in SQL:
 *
 *   bare_sql URI EVENTS VIEW MODE BATCH LIMIT
 *
 * EVENTS is a file of lines "type id version customer amount state time", by tabs, which is in
 * memory before the clock starts. VIEW is entries, totals or states, whose tables are there and
 * empty, beside checkpoint (at bigint). At most LIMIT events are taken. Prints events per second
 * and the median microseconds of a turn of the loop. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include "platform/file.h"
#include "platform/hash.h"
#include "tests/bench/measure.h"

#define INPUT_BYTES_MAX ((size_t)1 << 30)
#define TEXT_BYTES_MAX  ((size_t)256 << 20)
#define COLUMNS_MAX     5
#define NUMBER_SIZE     24

enum { TYPE, ID, VERSION, CUSTOMER, AMOUNT, STATE, TIME, FIELDS };

struct event {
    const char *fields[FIELDS]; /* NUL-ended */
};

/* What a batch does to one key. */
struct fold {
    const char *key;
    const char *customer; /* NULL: the key was there before */
    const char *state;
    int64_t count, amount;
    uint32_t next; /* with the same hash; 0: none */
};

struct loop {
    PGconn *pg;
    const struct event *events;
    size_t count, batch;
    struct fold *folds; /* from 1 */
    size_t fold_count;
    uint32_t *places; /* in folds, by hash */
    size_t place_count;
    struct cairn_buf columns[COLUMNS_MAX];
    double *turns; /* seconds of each */
    size_t turn_count;
};

static void stop(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static void expect(struct loop *loop, PGresult *result, ExecStatusType status, const char *what)
{
    if (PQresultStatus(result) != status) {
        stop(what, PQerrorMessage(loop->pg));
    }
    PQclear(result);
}

static void run(struct loop *loop, const char *sql)
{
    expect(loop, PQexec(loop->pg, sql), PGRES_COMMAND_OK, sql);
}

static void prepare(struct loop *loop, const char *name, const char *sql)
{
    expect(loop, PQprepare(loop->pg, name, sql, 0, NULL), PGRES_COMMAND_OK, sql);
}

static void append(struct cairn_buf *buf, const char *text, char behind)
{
    if (cairn_buf_append_str(buf, text) != CAIRN_OK ||
        cairn_buf_append_byte(buf, behind) != CAIRN_OK) {
        stop("a batch", "no room");
    }
}

/* ---- the statements ---- */

static const struct view {
    const char *name;
    const char *first, *later; /* of a Placed and of a Moved */
    const char *columns[2];    /* of their parameters, as letters of fields: icavst */
    const char *arrays[2];     /* of rows of events, or of new and known keys */
    unsigned array_columns[2]; /* how many they take */
} views[] = {
    {"entries",
     "INSERT INTO entries VALUES ($1, $2, $3, $4, $5)",
     "INSERT INTO entries VALUES ($1, $2, $3, $4, $5)",
     {"ivcat", "ivcat"},
     {"INSERT INTO entries SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], "
      "$4::bigint[], $5::timestamptz[])",
      NULL},
     {5, 0}},
    {"totals",
     "INSERT INTO totals VALUES ($1, 1, $2) ON CONFLICT (customer) DO UPDATE SET events = "
     "totals.events + excluded.events, amount = totals.amount + excluded.amount",
     "INSERT INTO totals VALUES ($1, 1, $2) ON CONFLICT (customer) DO UPDATE SET events = "
     "totals.events + excluded.events, amount = totals.amount + excluded.amount",
     {"ca", "ca"},
     {NULL, "INSERT INTO totals SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) "
            "ON CONFLICT (customer) DO UPDATE SET events = totals.events + excluded.events, "
            "amount = totals.amount + excluded.amount"},
     {0, 3}},
    {"states",
     "INSERT INTO states VALUES ($1, $2, 'placed', 0, $3)",
     "UPDATE states SET state = $2, moves = moves + 1, amount = amount + $3 WHERE id = $1",
     {"ica", "isa"},
     {"INSERT INTO states SELECT id, customer, state, moves, amount FROM unnest($1::text[], "
      "$2::bigint[], $3::bigint[], $4::text[], $5::text[]) AS r(id, moves, amount, state, "
      "customer)",
      "UPDATE states SET state = r.state, moves = states.moves + r.moves, "
      "amount = states.amount + r.amount FROM unnest($1::text[], $2::bigint[], $3::bigint[], "
      "$4::text[]) AS r(id, moves, amount, state) WHERE states.id = r.id"},
     {5, 4}},
};

static const char letters[] = "-ivcast";

/* The values of an event's statement; returns how many. */
static int bind_event(const struct view *view, const struct event *event,
                      const char *values[COLUMNS_MAX])
{
    const char *columns = view->columns[event->fields[TYPE][0] == 'P' ? 0 : 1];
    int count = 0;
    for (; columns[count] != '\0'; count++) {
        values[count] = event->fields[strchr(letters, columns[count]) - letters];
    }
    return count;
}

/* ---- an event at a time ---- */

static void run_event(struct loop *loop, const struct view *view, const struct event *event)
{
    const char *values[COLUMNS_MAX];
    int count = bind_event(view, event, values);
    const char *name = event->fields[TYPE][0] == 'P' ? "first" : "later";
    expect(loop, PQexecPrepared(loop->pg, name, count, values, NULL, NULL, 0), PGRES_COMMAND_OK,
           name);
}

static void move_checkpoint(struct loop *loop, size_t at)
{
    char number[NUMBER_SIZE];
    const char *values[] = {number};
    (void)snprintf(number, sizeof(number), "%zu", at);
    expect(loop, PQexecPrepared(loop->pg, "move", 1, values, NULL, NULL, 0), PGRES_COMMAND_OK,
           "move");
}

/* One statement a transaction; the checkpoint is not even moved. */
static void run_singly(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        run_event(loop, view, &loop->events[i]);
    }
}

/* One round trip an event, a transaction a batch. */
static void run_by_trips(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    run(loop, "BEGIN");
    move_checkpoint(loop, to);
    run_singly(loop, view, from, to);
    run(loop, "COMMIT");
}

/* ---- COPY ---- */

/* Rows of entries. */
static void copy(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    struct cairn_buf *rows = &loop->columns[0];
    cairn_buf_truncate(rows, 0);
    for (size_t i = from; i < to; i++) {
        const char *values[COLUMNS_MAX];
        int count = bind_event(view, &loop->events[i], values);
        for (int c = 0; c < count; c++) {
            append(rows, values[c], c + 1 < count ? '\t' : '\n');
        }
    }
    expect(loop, PQexec(loop->pg, "COPY entries FROM STDIN"), PGRES_COPY_IN, "COPY");
    if (PQputCopyData(loop->pg, rows->data, (int)rows->size) != 1 ||
        PQputCopyEnd(loop->pg, NULL) != 1) {
        stop("COPY", PQerrorMessage(loop->pg));
    }
    for (PGresult *result = PQgetResult(loop->pg); result != NULL; result = PQgetResult(loop->pg)) {
        expect(loop, result, PGRES_COMMAND_OK, "COPY");
    }
}

static void copy_with_checkpoint(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    run(loop, "BEGIN");
    move_checkpoint(loop, to);
    copy(loop, view, from, to);
    run(loop, "COMMIT");
}

/* ---- arrays ---- */

static void begin_columns(struct loop *loop)
{
    for (size_t c = 0; c < COLUMNS_MAX; c++) {
        cairn_buf_truncate(&loop->columns[c], 0);
        append(&loop->columns[c], "", '{');
    }
}

/* Values of these files need no quotes in an array, but for the times, which have none of its
 * marks either. */
static void put(struct loop *loop, size_t column, const char *text)
{
    append(&loop->columns[column], text, ',');
}

static void put_number(struct loop *loop, size_t column, int64_t number)
{
    if (cairn_buf_append_i64(&loop->columns[column], number) != CAIRN_OK) {
        stop("a batch", "no room");
    }
    append(&loop->columns[column], "", ',');
}

/* Into the pipeline. */
static void send_columns(struct loop *loop, const char *name, unsigned count)
{
    const char *values[COLUMNS_MAX];
    if (loop->columns[0].size == 1) {
        return;
    }
    for (unsigned c = 0; c < count; c++) {
        loop->columns[c].data[loop->columns[c].size - 1] = '}'; /* for the last comma */
        append(&loop->columns[c], "", '\0');
        values[c] = loop->columns[c].data;
    }
    if (PQsendQueryPrepared(loop->pg, name, (int)count, values, NULL, NULL, 0) != 1) {
        stop(name, PQerrorMessage(loop->pg));
    }
}

static void begin_pipeline(struct loop *loop, size_t at)
{
    char number[NUMBER_SIZE];
    const char *values[] = {number};
    (void)snprintf(number, sizeof(number), "%zu", at);
    if (PQenterPipelineMode(loop->pg) != 1 ||
        PQsendQueryPrepared(loop->pg, "move", 1, values, NULL, NULL, 0) != 1) {
        stop("pipeline", PQerrorMessage(loop->pg));
    }
}

/* All of it is one implicit transaction and one round trip. */
static void end_pipeline(struct loop *loop)
{
    bool synced = false;
    if (PQpipelineSync(loop->pg) != 1) {
        stop("pipeline", PQerrorMessage(loop->pg));
    }
    while (!synced) {
        PGresult *result = PQgetResult(loop->pg);
        ExecStatusType status = result == NULL ? PGRES_COMMAND_OK : PQresultStatus(result);
        synced = status == PGRES_PIPELINE_SYNC;
        if (!synced && status != PGRES_COMMAND_OK) {
            stop("pipeline", PQerrorMessage(loop->pg));
        }
        PQclear(result);
    }
    if (PQexitPipelineMode(loop->pg) != 1) {
        stop("pipeline", PQerrorMessage(loop->pg));
    }
}

static void send_rows(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    begin_pipeline(loop, to);
    begin_columns(loop);
    for (size_t i = from; i < to; i++) {
        const char *values[COLUMNS_MAX];
        int count = bind_event(view, &loop->events[i], values);
        for (int c = 0; c < count; c++) {
            put(loop, (size_t)c, values[c]);
        }
    }
    send_columns(loop, "arrays0", view->array_columns[0]);
    end_pipeline(loop);
}

/* ---- arrays, one row a key ---- */

static struct fold *find_fold(struct loop *loop, const char *key)
{
    struct cairn_slice text = cairn_slice_str(key);
    uint32_t *place = &loop->places[cairn_hash64_seeded(text, 0) & (loop->place_count - 1)];
    uint32_t at = *place;
    while (at != 0 && strcmp(loop->folds[at].key, key) != 0) {
        at = loop->folds[at].next;
    }
    if (at == 0) {
        at = (uint32_t)++loop->fold_count;
        loop->folds[at] = (struct fold){.key = key, .next = *place};
        *place = at;
    }
    return &loop->folds[at];
}

static void fold_events(struct loop *loop, bool by_customer, size_t from, size_t to)
{
    memset(loop->places, 0, loop->place_count * sizeof(*loop->places));
    loop->fold_count = 0;
    for (size_t i = from; i < to; i++) {
        const struct event *event = &loop->events[i];
        struct fold *fold = find_fold(loop, event->fields[by_customer ? CUSTOMER : ID]);
        bool placed = event->fields[TYPE][0] == 'P';
        fold->count += placed && !by_customer ? 0 : 1;
        fold->amount += strtoll(event->fields[AMOUNT], NULL, 10);
        fold->state = placed ? "placed" : event->fields[STATE];
        fold->customer = placed && !by_customer ? event->fields[CUSTOMER] : fold->customer;
    }
}

static void send_folds(struct loop *loop, const struct view *view, size_t from, size_t to)
{
    static const char *const names[] = {"arrays0", "arrays1"};
    fold_events(loop, view == &views[1], from, to);
    begin_pipeline(loop, to);
    for (size_t known = 0; known < 2; known++) {
        begin_columns(loop);
        for (size_t i = 1; i <= loop->fold_count; i++) {
            const struct fold *fold = &loop->folds[i];
            if ((fold->customer == NULL) == (known == 1)) {
                put(loop, 0, fold->key);
                put_number(loop, 1, fold->count);
                put_number(loop, 2, fold->amount);
                put(loop, 3, fold->state);
                put(loop, 4, known == 1 ? "" : fold->customer);
            }
        }
        send_columns(loop, names[known], view->array_columns[known]);
    }
    end_pipeline(loop);
}

/* ---- the program ---- */

static const struct mode {
    const char *name;
    void (*run)(struct loop *loop, const struct view *view, size_t from, size_t to);
} modes[] = {
    {"single", run_singly},           {"trips", run_by_trips}, {"copy", copy},
    {"copied", copy_with_checkpoint}, {"arrays", send_rows},   {"folded", send_folds},
};

static struct event *read_events(struct cairn_buf *text, size_t limit, size_t *ret_count)
{
    size_t count = 0;
    struct event *events = calloc(limit + 1, sizeof(*events));
    char *at = text->data;
    char *end = text->data + text->size;
    for (; events != NULL && at < end && count < limit; count++) {
        for (size_t f = 0; f < FIELDS && at < end; f++) {
            events[count].fields[f] = at;
            at += strcspn(at, "\t\n");
            *at++ = '\0';
        }
    }
    *ret_count = count;
    return events;
}

static void prepare_all(struct loop *loop, const struct view *view)
{
    prepare(loop, "move", "UPDATE checkpoint SET at = $1::bigint");
    prepare(loop, "first", view->first);
    prepare(loop, "later", view->later);
    if (view->arrays[0] != NULL) {
        prepare(loop, "arrays0", view->arrays[0]);
    }
    if (view->arrays[1] != NULL) {
        prepare(loop, "arrays1", view->arrays[1]);
    }
}

static void make_room(struct loop *loop)
{
    loop->place_count = 1;
    while (loop->place_count < 2 * loop->batch) {
        loop->place_count *= 2;
    }
    loop->places = calloc(loop->place_count, sizeof(*loop->places));
    loop->folds = calloc(loop->batch + 1, sizeof(*loop->folds));
    loop->turns = calloc(loop->count / loop->batch + 1, sizeof(*loop->turns));
    for (size_t c = 0; c < COLUMNS_MAX; c++) {
        loop->columns[c].max = TEXT_BYTES_MAX;
    }
    if (loop->places == NULL || loop->folds == NULL || loop->turns == NULL) {
        stop("a batch", "no memory");
    }
}

static void measure(struct loop *loop, const struct view *view, const struct mode *mode,
                    const char *uri)
{
    double begin = now_s();
    loop->pg = PQconnectdb(uri);
    if (PQstatus(loop->pg) != CONNECTION_OK) {
        stop("connect", PQerrorMessage(loop->pg));
    }
    prepare_all(loop, view);
    for (size_t from = 0; from < loop->count;) {
        double turn = now_s();
        size_t to = from + loop->batch < loop->count ? from + loop->batch : loop->count;
        mode->run(loop, view, from, to);
        loop->turns[loop->turn_count++] = now_s() - turn;
        from = to;
    }
    double seconds = now_s() - begin;
    qsort(loop->turns, loop->turn_count, sizeof(*loop->turns), by_value);
    (void)printf("%.0f %.1f\n", (double)loop->count / seconds,
                 loop->turns[loop->turn_count / 2] * 1e6);
    PQfinish(loop->pg);
}

int main(int argc, char **argv)
{
    const struct view *view = NULL;
    const struct mode *mode = NULL;
    for (size_t i = 0; argc == 7 && i < sizeof(views) / sizeof(views[0]); i++) {
        view = strcmp(views[i].name, argv[3]) == 0 ? &views[i] : view;
    }
    for (size_t i = 0; argc == 7 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        mode = strcmp(modes[i].name, argv[4]) == 0 ? &modes[i] : mode;
    }
    if (view == NULL || mode == NULL) {
        (void)fprintf(stderr, "usage: bare_sql URI EVENTS VIEW MODE BATCH LIMIT\n");
        return 2;
    }
    struct cairn_err err = {.rc = CAIRN_OK};
    struct cairn_buf input = {.max = INPUT_BYTES_MAX};
    struct loop loop = {.batch = strtoul(argv[5], NULL, 10)};
    if (cairn_file_read(argv[2], &input, &err) != CAIRN_OK) {
        stop(argv[2], err.text);
    }
    struct event *events = read_events(&input, strtoul(argv[6], NULL, 10), &loop.count);
    if (events == NULL || loop.batch == 0 || loop.count == 0) {
        stop(argv[2], "no events");
    }
    loop.events = events;
    make_room(&loop);
    measure(&loop, view, mode, argv[1]);
    for (size_t c = 0; c < COLUMNS_MAX; c++) {
        cairn_buf_fini(&loop.columns[c]);
    }
    cairn_buf_fini(&input);
    free(loop.turns);
    free(loop.folds);
    free(loop.places);
    free(events);
    return 0;
}
