/* Metrics in Prometheus' text format (version 0.0.4).
 *
 * A metric is a row of a table in the component that owns it: name, kind, unit, text. Values are
 * atomics; counting costs one relaxed add. Histograms have fixed buckets (seconds: 50 us to 10 s).
 * A registry is made at start, metrics are added before threads start, and rendering may run at any
 * time. */
#ifndef CAIRN_PLATFORM_METRICS_H
#define CAIRN_PLATFORM_METRICS_H

#include "platform/bytes.h"

enum cairn_metric_kind { CAIRN_COUNTER, CAIRN_GAUGE, CAIRN_HISTOGRAM };

#define CAIRN_METRICS_MAX 1024

struct cairn_metrics;
struct cairn_metric;

CAIRN_MUST_CHECK struct cairn_metrics *cairn_metrics_new(void);
void cairn_metrics_free(struct cairn_metrics *metrics);

/* Add a metric, or find the one with the same name and labels.
 * name: [a-zA-Z_:][a-zA-Z0-9_:]* (asserted), always of the same kind. name, help: static strings or
 * living as long as the registry; help is one line. labels: "view=\"balances\"" with '\' and '"' in
 * values escaped, or NULL; copied. NULL when memory or CAIRN_METRICS_MAX is out. thread: any
 * (locked). */
CAIRN_MUST_CHECK struct cairn_metric *cairn_metrics_add(struct cairn_metrics *metrics,
                                                        enum cairn_metric_kind kind,
                                                        const char *name, const char *labels,
                                                        const char *help);
/* A metric may be NULL in all of these: nothing is counted. thread: any. */
void cairn_metric_inc(struct cairn_metric *metric, uint64_t by);
/* Of a gauge alone: a counter never goes down. */
void cairn_metric_dec(struct cairn_metric *metric, uint64_t by);
void cairn_metric_set(struct cairn_metric *metric, int64_t value);
void cairn_metric_observe_ns(struct cairn_metric *metric, int64_t elapsed_ns);
uint64_t cairn_metric_value(const struct cairn_metric *metric);
/* Append the whole registry. Families are grouped, in the order they were added. */
CAIRN_MUST_CHECK enum cairn_rc cairn_metrics_render(struct cairn_metrics *metrics,
                                                    struct cairn_buf *out);

#endif
