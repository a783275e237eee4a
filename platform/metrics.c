#include "platform/metrics.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

#include "platform/mem.h"

/* Upper bounds of the histograms' buckets in nanoseconds, and as Prometheus prints them in seconds.
 * 1-2.5-5 steps: a quantile read from them is off by at most a factor of 2.5. */
#define BUCKET_TABLE(X)                                                                            \
    X(50000, "5e-05")                                                                              \
    X(100000, "0.0001")                                                                            \
    X(250000, "0.00025")                                                                           \
    X(500000, "0.0005")                                                                            \
    X(1000000, "0.001")                                                                            \
    X(2500000, "0.0025")                                                                           \
    X(5000000, "0.005")                                                                            \
    X(10000000, "0.01")                                                                            \
    X(25000000, "0.025")                                                                           \
    X(50000000, "0.05")                                                                            \
    X(100000000, "0.1")                                                                            \
    X(250000000, "0.25")                                                                           \
    X(500000000, "0.5")                                                                            \
    X(1000000000, "1")                                                                             \
    X(2500000000, "2.5")                                                                           \
    X(5000000000, "5")                                                                             \
    X(10000000000, "10")

struct bucket {
    int64_t bound_ns;
    const char *bound_s;
};

static const struct bucket buckets[] = {
#define X(ns, text) {INT64_C(ns), text},
    BUCKET_TABLE(X)
#undef X
};

enum { BUCKET_COUNT = sizeof(buckets) / sizeof(buckets[0]) };

#define NS_PER_S 1000000000u

struct cairn_metric {
    struct cairn_metric *next; /* of the same family, in the order they were added */
    char *labels;              /* without braces, "" where there are none; owned */
    _Atomic uint64_t value;    /* of a counter, a gauge's bits, a histogram's observations */
    _Atomic uint64_t sum_ns;   /* of a histogram */
    _Atomic uint64_t hits[];   /* of a histogram: BUCKET_COUNT + 1, not yet summed up */
};

struct family {
    const char *name; /* borrowed */
    const char *help; /* borrowed */
    enum cairn_metric_kind kind;
    struct cairn_metric *first;
    struct cairn_metric *last;
};

struct cairn_metrics {
    pthread_mutex_t lock; /* guards the families and their lists, not the values */
    struct family families[CAIRN_METRICS_MAX];
    size_t family_count;
    size_t count; /* metrics of all families */
};

struct cairn_metrics *cairn_metrics_new(void)
{
    struct cairn_metrics *metrics = cairn_mem_zalloc(1, sizeof(*metrics));
    if (metrics != NULL && pthread_mutex_init(&metrics->lock, NULL) != 0) {
        cairn_mem_free(metrics);
        return NULL;
    }
    return metrics;
}

void cairn_metrics_free(struct cairn_metrics *metrics)
{
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->family_count; i++) {
        struct cairn_metric *metric = metrics->families[i].first;
        while (metric != NULL) {
            struct cairn_metric *next = metric->next;
            cairn_mem_free(metric->labels);
            cairn_mem_free(metric);
            metric = next;
        }
    }
    (void)pthread_mutex_destroy(&metrics->lock);
    cairn_mem_free(metrics);
}

static struct family *find_family(struct cairn_metrics *metrics, const char *name)
{
    for (size_t i = 0; i < metrics->family_count; i++) {
        if (strcmp(metrics->families[i].name, name) == 0) {
            return &metrics->families[i];
        }
    }
    return NULL;
}

static struct cairn_metric *find_metric(const struct family *family, const char *labels)
{
    struct cairn_metric *metric = family->first;
    while (metric != NULL && strcmp(metric->labels, labels) != 0) {
        metric = metric->next;
    }
    return metric;
}

static bool is_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        bool digit = *at >= '0' && *at <= '9';
        if (!letter && *at != '_' && *at != ':' && !(digit && at > name)) {
            return false;
        }
    }
    return name[0] != '\0';
}

static struct cairn_metric *make_metric(enum cairn_metric_kind kind, const char *labels)
{
    size_t hits = kind == CAIRN_HISTOGRAM ? BUCKET_COUNT + 1 : 0;
    struct cairn_metric *metric =
        cairn_mem_zalloc(1, sizeof(*metric) + hits * sizeof(metric->hits[0]));
    if (metric == NULL) {
        return NULL;
    }
    metric->labels = cairn_mem_strndup(labels, strlen(labels));
    if (metric->labels == NULL) {
        cairn_mem_free(metric);
        return NULL;
    }
    return metric;
}

/* With the lock held. */
static struct cairn_metric *add_locked(struct cairn_metrics *metrics, enum cairn_metric_kind kind,
                                       const char *name, const char *labels, const char *help)
{
    struct family *family = find_family(metrics, name);
    if (family != NULL) {
        assert(family->kind == kind);
        struct cairn_metric *known = find_metric(family, labels);
        if (known != NULL) {
            return known;
        }
    }
    if (metrics->count == CAIRN_METRICS_MAX) {
        return NULL;
    }
    struct cairn_metric *metric = make_metric(kind, labels);
    if (metric == NULL) {
        return NULL;
    }
    if (family == NULL) {
        family = &metrics->families[metrics->family_count++];
        *family = (struct family){.name = name, .help = help, .kind = kind};
    }
    if (family->last == NULL) {
        family->first = metric;
    } else {
        family->last->next = metric;
    }
    family->last = metric;
    metrics->count++;
    return metric;
}

struct cairn_metric *cairn_metrics_add(struct cairn_metrics *metrics, enum cairn_metric_kind kind,
                                       const char *name, const char *labels, const char *help)
{
    assert(metrics != NULL);
    assert(name != NULL && is_name(name));
    assert(help != NULL && strchr(help, '\n') == NULL);
    (void)pthread_mutex_lock(&metrics->lock);
    struct cairn_metric *metric =
        add_locked(metrics, kind, name, labels == NULL ? "" : labels, help);
    (void)pthread_mutex_unlock(&metrics->lock);
    return metric;
}

void cairn_metric_inc(struct cairn_metric *metric, uint64_t by)
{
    if (metric != NULL) {
        (void)atomic_fetch_add_explicit(&metric->value, by, memory_order_relaxed);
    }
}

void cairn_metric_dec(struct cairn_metric *metric, uint64_t by)
{
    cairn_metric_inc(metric, 0 - by);
}

void cairn_metric_set(struct cairn_metric *metric, int64_t value)
{
    if (metric != NULL) {
        atomic_store_explicit(&metric->value, (uint64_t)value, memory_order_relaxed);
    }
}

void cairn_metric_observe_ns(struct cairn_metric *metric, int64_t elapsed_ns)
{
    if (metric == NULL) {
        return;
    }
    size_t bucket = 0;
    while (bucket < BUCKET_COUNT && elapsed_ns > buckets[bucket].bound_ns) {
        bucket++;
    }
    uint64_t sum = elapsed_ns < 0 ? 0 : (uint64_t)elapsed_ns;
    (void)atomic_fetch_add_explicit(&metric->hits[bucket], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->sum_ns, sum, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&metric->value, 1, memory_order_relaxed);
}

uint64_t cairn_metric_value(const struct cairn_metric *metric)
{
    return metric == NULL ? 0 : atomic_load_explicit(&metric->value, memory_order_relaxed);
}

/* name{labels} value */
static enum cairn_rc render_plain(const struct family *family, const struct cairn_metric *metric,
                                  struct cairn_buf *out)
{
    uint64_t value = cairn_metric_value(metric);
    bool labelled = metric->labels[0] != '\0';
    bool negative = family->kind == CAIRN_GAUGE && (int64_t)value < 0;
    return cairn_buf_printf(out, "%s%s%s%s %s%llu\n", family->name, labelled ? "{" : "",
                            metric->labels, labelled ? "}" : "", negative ? "-" : "",
                            (unsigned long long)(negative ? 0 - value : value));
}

/* The buckets are summed from what is read here, so _count is what the last bucket says also while
 * other threads observe. */
static enum cairn_rc render_histogram(const struct family *family,
                                      const struct cairn_metric *metric, struct cairn_buf *out)
{
    const char *comma = metric->labels[0] != '\0' ? "," : "";
    uint64_t seen = 0;
    for (size_t i = 0; i <= BUCKET_COUNT; i++) {
        seen += atomic_load_explicit(&metric->hits[i], memory_order_relaxed);
        enum cairn_rc rc = cairn_buf_printf(
            out, "%s_bucket{%s%sle=\"%s\"} %llu\n", family->name, metric->labels, comma,
            i < BUCKET_COUNT ? buckets[i].bound_s : "+Inf", (unsigned long long)seen);
        if (rc != CAIRN_OK) {
            return rc;
        }
    }
    uint64_t sum_ns = atomic_load_explicit(&metric->sum_ns, memory_order_relaxed);
    const char *open = comma[0] != '\0' ? "{" : "";
    const char *shut = comma[0] != '\0' ? "}" : "";
    return cairn_buf_printf(out, "%s_sum%s%s%s %llu.%09llu\n%s_count%s%s%s %llu\n", family->name,
                            open, metric->labels, shut, (unsigned long long)(sum_ns / NS_PER_S),
                            (unsigned long long)(sum_ns % NS_PER_S), family->name, open,
                            metric->labels, shut, (unsigned long long)seen);
}

static enum cairn_rc render_family(const struct family *family, struct cairn_buf *out)
{
    static const char *const kinds[] = {
        [CAIRN_COUNTER] = "counter", [CAIRN_GAUGE] = "gauge", [CAIRN_HISTOGRAM] = "histogram"};
    enum cairn_rc rc = cairn_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family->name,
                                        family->help, family->name, kinds[family->kind]);
    const struct cairn_metric *metric = family->first;
    while (rc == CAIRN_OK && metric != NULL) {
        rc = family->kind == CAIRN_HISTOGRAM ? render_histogram(family, metric, out)
                                             : render_plain(family, metric, out);
        metric = metric->next;
    }
    return rc;
}

enum cairn_rc cairn_metrics_render(struct cairn_metrics *metrics, struct cairn_buf *out)
{
    assert(metrics != NULL && out != NULL);
    size_t before = out->size;
    enum cairn_rc rc = CAIRN_OK;
    (void)pthread_mutex_lock(&metrics->lock);
    for (size_t i = 0; rc == CAIRN_OK && i < metrics->family_count; i++) {
        rc = render_family(&metrics->families[i], out);
    }
    (void)pthread_mutex_unlock(&metrics->lock);
    if (rc != CAIRN_OK) {
        cairn_buf_truncate(out, before);
    }
    return rc;
}
