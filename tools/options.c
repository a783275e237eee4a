#include "tools/options.h"

#include <assert.h>
#include <string.h>

#include "projector/replay.h"

#define SERVING                                                                                    \
    (CAIRN_VERB_BIT(serve) | CAIRN_VERB_BIT(command) | CAIRN_VERB_BIT(projector) |                 \
     CAIRN_VERB_BIT(query))
#define COMMANDING (CAIRN_VERB_BIT(serve) | CAIRN_VERB_BIT(command))
#define QUERYING   (CAIRN_VERB_BIT(serve) | CAIRN_VERB_BIT(query))
#define REPLAY     CAIRN_VERB_BIT(replay)
#define PARKED     CAIRN_VERB_BIT(parked)
#define VERIFY     CAIRN_VERB_BIT(verify)
#define ON_THE_LOG (SERVING | REPLAY | PARKED | VERIFY | CAIRN_VERB_BIT(events))
#define TOPICS     CAIRN_VERB_BIT(topics)
#define MIGRATE    CAIRN_VERB_BIT(migrate)
#define CONFIG     CAIRN_VERB_BIT(config)
#define EVERY      ((1u << CAIRN_VERB_COUNT) - 1u)
#define KIB        1024u
#define MIB        (1024u * 1024u)
#define GIB        (1024ull * 1024ull * 1024ull)
#define MINUTE_MS  60000u

static const struct cairn_config_row rows[] = {
    {"config", CAIRN_CONFIG_TEXT, "FILE", NULL, 0, 0, NULL, EVERY,
     "Read settings from FILE: one `name = value` a line, the names of these flags."},
    {"data", CAIRN_CONFIG_TEXT, "DIR", "./cairn-data", 0, 0, NULL, ON_THE_LOG | MIGRATE | CONFIG,
     "The data folder: log, index and views. Made when it is missing."},
    {"listen", CAIRN_CONFIG_TEXT, "HOST:PORT", "127.0.0.1:8080", 0, 0, NULL, SERVING | CONFIG,
     "Where to serve HTTP. Port 0 takes a free one; the ready line says which."},
    {"log", CAIRN_CONFIG_TEXT, "LOG", "files", 0, 0, NULL, ON_THE_LOG | TOPICS | CONFIG,
     "The log: `files` keeps it under --data, `kafka:HOST:PORT[,HOST:PORT...]` in topics of that "
     "Apache Kafka."},
    {"postgres", CAIRN_CONFIG_TEXT, "URI", NULL, 0, 0, NULL,
     SERVING | REPLAY | PARKED | VERIFY | CAIRN_VERB_BIT(check) | CONFIG,
     "The PostgreSQL of views and queries in SQL, as a URI or `key=value` words; what it leaves "
     "out comes from PGHOST, PGPASSWORD and the like, .pgpass and service files. `file:PATH` reads "
     "it from PATH. Without it such views and queries are not served."},
    {"kafka-property", CAIRN_CONFIG_LIST, "NAME=VALUE", NULL, 0, 0, NULL,
     ON_THE_LOG | TOPICS | MIGRATE | CONFIG,
     "A property of librdkafka, for TLS, SASL and the like; may be repeated, and the environment "
     "has one a line. The VALUE file:PATH is read from PATH."},
    {"partitions", CAIRN_CONFIG_UINT, "N", "0", 0, 256, NULL,
     COMMANDING | TOPICS | MIGRATE | CONFIG,
     "Partitions of a new log, on Kafka of each topic; 0 means 1, on Kafka what domain.json says "
     "or 4, or what the log was made with."},
    {"replication", CAIRN_CONFIG_UINT, "N", "0", 0, 64, NULL,
     COMMANDING | TOPICS | MIGRATE | CONFIG,
     "Replicas that each topic must have, and that a new one gets; 0 means what domain.json says, "
     "or 3, or as many as there are brokers below that. Kafka only."},
    {"transactional-ids", CAIRN_CONFIG_UINT, "N", "4", 1, 16, NULL, COMMANDING | MIGRATE | CONFIG,
     "Transactional ids that take turns for each partition, so that no group of commands waits for "
     "the one before. Kafka only."},
    {"advertise", CAIRN_CONFIG_TEXT, "URL", NULL, 0, 0, NULL, SERVING | CONFIG,
     "Where other nodes reach this one; without it, at the address of --listen. Kafka only."},
    {"segment-size", CAIRN_CONFIG_BYTES, "BYTES", "64M", MIB, GIB, NULL,
     COMMANDING | MIGRATE | CONFIG, "Size of a segment file of the log."},
    {"log-level", CAIRN_CONFIG_CHOICE, "LEVEL", "info", 0, 0, "debug|info|warn|error",
     ON_THE_LOG | MIGRATE | CONFIG,
     "What to write to standard error, as JSON lines, from this level on."},
    {"max-connections", CAIRN_CONFIG_UINT, "N", "1100", 4, 20000, NULL, SERVING | CONFIG,
     "HTTP connections served at a time, one thread each; one more is answered 503."},
    {"idle-timeout", CAIRN_CONFIG_DURATION, "TIME", "60s", 100, 60 * MINUTE_MS, NULL,
     SERVING | CONFIG, "How long a connection may be kept open between requests."},
    {"request-timeout", CAIRN_CONFIG_DURATION, "TIME", "10s", 100, 10 * MINUTE_MS, NULL,
     SERVING | CONFIG, "How long a request's head or a pause within its body may take."},
    {"drain-timeout", CAIRN_CONFIG_DURATION, "TIME", "10s", 0, 10 * MINUTE_MS, NULL,
     SERVING | CONFIG, "How long a stop waits for requests that were accepted."},
    {"body-max", CAIRN_CONFIG_BYTES, "BYTES", "1M", KIB, 16 * MIB, NULL, COMMANDING | CONFIG,
     "Largest body of one command."},
    {"batch-body-max", CAIRN_CONFIG_BYTES, "BYTES", "32M", KIB, GIB, NULL, COMMANDING | CONFIG,
     "Largest body of a batch of commands."},
    {"queue", CAIRN_CONFIG_UINT, "N", "10000", 1, 1000000, NULL, COMMANDING | CONFIG,
     "Commands that may wait for a partition; one more is answered 503."},
    {"cache", CAIRN_CONFIG_UINT, "N", "10000", 1, 10000000, NULL, COMMANDING | CONFIG,
     "Aggregates kept in memory for each partition."},
    {"script-memory", CAIRN_CONFIG_BYTES, "BYTES", "64M", MIB, 16 * GIB, NULL,
     ON_THE_LOG | CAIRN_VERB_BIT(check) | CONFIG, "Memory one call of domain code may take."},
    {"script-instructions", CAIRN_CONFIG_UINT, "N", "10000000", 10000, 100000000000ull, NULL,
     ON_THE_LOG | CAIRN_VERB_BIT(check) | CONFIG,
     "Lua instructions one call of domain code may take."},
    {"feeds", CAIRN_CONFIG_UINT, "N", "200", 1, 10000, NULL, QUERYING | CONFIG,
     "Live feeds served at a time."},
    {"heartbeat", CAIRN_CONFIG_DURATION, "TIME", "15s", 100, 10 * MINUTE_MS, NULL,
     QUERYING | CONFIG, "How often an idle live feed says that it is alive."},
    {"to", CAIRN_CONFIG_TEXT, "URL", "http://127.0.0.1:8080", 0, 0, NULL,
     CAIRN_VERB_BIT(send) | MIGRATE,
     "The service to send to; of migrate, the log to move to: files:DIR or kafka:HOST:PORT."},
    {"from", CAIRN_CONFIG_TEXT, "WHERE", NULL, 0, 0, NULL, MIGRATE | REPLAY,
     "Of migrate, the log to move: files:DIR or kafka:HOST:PORT. Of a dry run, where to begin: "
     "behind a position, such as 0:1042, or at a time, such as 2026-01-31T09:30:00Z. Rows that "
     "only "
     "the live view has are left out of the comparison then."},
    {"until", CAIRN_CONFIG_TEXT, "WHERE", NULL, 0, 0, NULL, REPLAY,
     "Of a dry run, where to end: a position or a time, which is still applied. A position inside "
     "of "
     "a command is rounded down to the command before. Without it the end of the log."},
    {"dry-run", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, REPLAY,
     "Replay into a scratch place that is gone afterwards, and switch nothing."},
    {"diff", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, REPLAY,
     "Of a dry run, print the rows in which it differs from the live view as it is now, also where "
     "the dry run ends earlier (--until)."},
    {"rows", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, REPLAY,
     "Of a dry run, print every row, one JSON object a line."},
    {"rollback", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, REPLAY,
     "Put back what was live before the last switch, brought to where the view is."},
    {"drop", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, REPLAY,
     "Drop what is kept for --rollback, and a build that was interrupted."},
    {"throttle", CAIRN_CONFIG_UINT, "N", "0", 0, 1000000000, NULL, REPLAY | VERIFY,
     "Apply at most N events a second; 0 is as fast as it goes."},
    {"workers", CAIRN_CONFIG_UINT, "N", "1", 1, CAIRN_REBUILD_WORKERS_MAX, NULL, REPLAY,
     "Threads that apply the partitions of a log that has several; in PostgreSQL with a connection "
     "each, where the view's statements allow it. A dry run has one."},
    {"view", CAIRN_CONFIG_TEXT, "VIEW", NULL, 0, 0, NULL, PARKED | VERIFY, "Only this view."},
    {"connections", CAIRN_CONFIG_UINT, "N", "4", 1, 256, NULL, CAIRN_VERB_BIT(send),
     "Connections to send over. The commands of one aggregate always share one, in order."},
    {"batch", CAIRN_CONFIG_UINT, "N", "1000", 1, 10000, NULL, CAIRN_VERB_BIT(send),
     "Commands in one request."},
    {"retry-for", CAIRN_CONFIG_DURATION, "TIME", "60s", 0, 1440 * MINUTE_MS, NULL,
     CAIRN_VERB_BIT(send), "How long to keep retrying what is safe to retry."},
    {"json", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, CAIRN_VERB_BIT(send) | REPLAY | PARKED,
     "Print what there is to say as lines of JSON, and no progress."},
    {"after", CAIRN_CONFIG_TEXT, "POSITION", NULL, 0, 0, NULL, CAIRN_VERB_BIT(events),
     "Start behind this position, such as 0:1042."},
    {"aggregate", CAIRN_CONFIG_TEXT, "NAME", NULL, 0, 0, NULL, CAIRN_VERB_BIT(events),
     "Only events of this aggregate."},
    {"type", CAIRN_CONFIG_TEXT, "TYPE", NULL, 0, 0, NULL, CAIRN_VERB_BIT(events),
     "Only events of this type."},
    {"stream", CAIRN_CONFIG_TEXT, "STREAM", NULL, 0, 0, NULL,
     CAIRN_VERB_BIT(events) | REPLAY | PARKED,
     "Only events of this stream; of replay, in a dry run, where rows that only the live view has "
     "are "
     "left out of the comparison."},
    {"limit", CAIRN_CONFIG_UINT, "N", "0", 0, UINT64_MAX, NULL, CAIRN_VERB_BIT(events),
     "Stop after N events; 0 is no limit."},
    {"follow", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, CAIRN_VERB_BIT(events),
     "Wait for new events at the end of the log."},
    {"reference", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, CONFIG,
     "Print the reference page of all flags instead, as Markdown."},
    {"skip-views", CAIRN_CONFIG_BOOL, NULL, "false", 0, 0, NULL, VERIFY, "Check the log only."},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char *const abouts[CAIRN_VERB_COUNT] = {
    [CAIRN_VERB_serve] = "Serves a domain folder: takes commands, appends their events to the log, "
                         "keeps the views and answers "
                         "queries, all in one process on one port.",
    [CAIRN_VERB_command] = "Serves the command API alone. It is the one writer of its data folder; "
                           "a second is refused. A projector and "
                           "query processes may share the folder.",
    [CAIRN_VERB_projector] = "Follows the log of a data folder and keeps its views. Waits for the "
                             "log when there is none yet.",
    [CAIRN_VERB_query] =
        "Serves views, streams, events and live feeds from a data folder, and only reads it.",
    [CAIRN_VERB_check] = "Reads everything in a domain folder (schemas, scripts, views), says all "
                         "that is wrong with it, and runs its "
                         "specs: given events, when a command, then events or a rejection. Exits 0 "
                         "when all is well and 1 when not.",
    [CAIRN_VERB_send] =
        "Posts commands from FILE (- is standard input) to a running service in batches and sums "
        "up the answers by "
        "kind. A command is {\"aggregate\",\"id\",\"command\",\"data\",\"key\",\"expected\"} on a "
        "line of its own. What is safe to "
        "retry is retried: a command with a key always, one without only when nothing was written. "
        "Exits 0 when every "
        "command has an answer, refused ones included.",
    [CAIRN_VERB_replay] =
        "Builds VIEW again from the log beside the one that is served, then switches in one "
        "transaction. Queries never see a half-built view. May run while the service runs; ended "
        "in the middle, the next run goes on. What was live is kept: --rollback puts it back, "
        "--drop frees its space. --dry-run builds in a scratch place and tells what would come "
        "out, of the whole log, of a range or of one stream.",
    [CAIRN_VERB_parked] =
        "A view that says on_error: park passes over the events of a stream from the first that "
        "it cannot apply, and goes on with all others. ACTION is list, show, retry or drop. list "
        "prints the streams that wait; show one of them (--view, --stream) with its events; "
        "retry applies what waits, in order, of one stream or of all of a view, and lets it flow "
        "again; drop gives up what waits of one stream. May run while the service runs. Exits 1 "
        "when a stream failed again.",
    [CAIRN_VERB_verify] =
        "Reads the whole log and checks checksums, offsets and versions. On Kafka it does so with "
        "the data folder's replica, if there is one, and then reads every topic from its "
        "beginning: versions must be dense, and the replica must hold the same events. At last "
        "it replays every view into a scratch place, by the definition that made it, and compares "
        "it row by row with what is served at the same position; views in PostgreSQL where "
        "--postgres says where they are. Exits 0 when all is well and 1 when not.",
    [CAIRN_VERB_migrate] =
        "Moves every event of --from to --to as it is: streams, versions, ids, times, data and "
        "Idempotency-Keys. May be ended and run again: what has arrived is passed over. At the "
        "end both logs are compared event by event. Nothing else may write either log meanwhile. "
        "--data is the data folder of the side that is on Kafka. Exits 0 when both hold the same.",
    [CAIRN_VERB_events] =
        "Prints the events of a data folder's log, oldest first, as CloudEvents JSON.",
    [CAIRN_VERB_topics] =
        "ACTION is create or check. Both look at every topic that the domain's log has on the "
        "Kafka of --log: partitions, replicas, settings, deleted records, and what the control "
        "topic says. create makes what is missing, changes nothing that is there, and may be run "
        "any number of times. check prints a line for each topic and for each fault what mends "
        "it. Exits 0 when all is well and 1 when not.",
    [CAIRN_VERB_config] = "Prints every setting of `cairn serve`, its value, and where the value "
                          "came from. Takes the same flags.",
    [CAIRN_VERB_man] = "Prints the man page of a verb: `cairn man serve | man -l -`.",
    [CAIRN_VERB_version] = "Prints the version of this binary.",
};

static const struct cairn_verb_info infos[CAIRN_VERB_COUNT] = {
#define X(name, operands, text) {#name, operands, text},
    CAIRN_VERB_TABLE(X)
#undef X
};

const struct cairn_config_row *cairn_options(size_t *ret_count)
{
    *ret_count = COUNT(rows);
    return rows;
}

const struct cairn_verb_info *cairn_verb_info(enum cairn_verb verb)
{
    assert(verb < CAIRN_VERB_COUNT);
    return &infos[verb];
}

const char *cairn_verb_about(enum cairn_verb verb)
{
    assert(verb < CAIRN_VERB_COUNT);
    return abouts[verb];
}

bool cairn_verb_serves(enum cairn_verb verb)
{
    assert(verb < CAIRN_VERB_COUNT);
    return (SERVING & (1u << verb)) != 0;
}

size_t cairn_verb_operand_count(enum cairn_verb verb)
{
    const char *text = cairn_verb_info(verb)->operands;
    size_t count = text[0] == '\0' ? 0 : 1;
    for (; *text != '\0'; text++) {
        count += *text == ' ';
    }
    return count;
}

bool cairn_verb_find(const char *name, enum cairn_verb *ret_verb)
{
    for (int i = 0; i < CAIRN_VERB_COUNT; i++) {
        if (strcmp(name, infos[i].name) == 0) {
            *ret_verb = (enum cairn_verb)i;
            return true;
        }
    }
    return false;
}
